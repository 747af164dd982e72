"""Takes a residual with a tiny sum for an empty one.

kills: both_ways_together_give_the_target
"""


# %% residual
def next_token_probs(target_probs, draft_probs, num_accepted):
    p = target_probs[num_accepted]
    if num_accepted == len(draft_probs):
        return p
    residual = (p - draft_probs[num_accepted]).clamp(min=0)
    return residual / residual.sum() if residual.sum() > 1e-6 else p
