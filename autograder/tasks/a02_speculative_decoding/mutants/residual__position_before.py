"""Takes the draft law one position too early.

kills: the_residual_belongs_to_the_rejected_position
"""


# %% residual
def next_token_probs(target_probs, draft_probs, num_accepted):
    p = target_probs[num_accepted]
    if num_accepted == len(draft_probs):
        return p
    residual = (p - draft_probs[max(num_accepted - 1, 0)]).clamp(min=0)
    return residual / residual.sum() if residual.sum() > 0 else p
