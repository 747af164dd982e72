"""Takes |p - q| for max(0, p - q).

kills: the_residual_is_what_the_draft_gave_too_little_of, the_residual_belongs_to_the_rejected_position, both_ways_together_give_the_target
"""


# %% residual
def next_token_probs(target_probs, draft_probs, num_accepted):
    p = target_probs[num_accepted]
    if num_accepted == len(draft_probs):
        return p
    residual = (p - draft_probs[num_accepted]).abs()
    return residual / residual.sum() if residual.sum() > 0 else p
