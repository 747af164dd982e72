"""After a full acceptance subtracts the last draft law all the same.

kills: a_full_acceptance_gives_the_bonus_token
"""


# %% residual
def next_token_probs(target_probs, draft_probs, num_accepted):
    p = target_probs[num_accepted]
    residual = (p - draft_probs[min(num_accepted, len(draft_probs) - 1)]).clamp(min=0)
    return residual / residual.sum() if residual.sum() > 0 else p
