"""Returns p where p equals q exactly, and divides by zero where rounding keeps p just below q.

kills: both_ways_together_give_the_target
"""


# %% residual
def next_token_probs(target_probs, draft_probs, num_accepted):
    p = target_probs[num_accepted]
    if num_accepted == len(draft_probs):
        return p
    if torch.equal(p, draft_probs[num_accepted]):
        return p
    residual = (p - draft_probs[num_accepted]).clamp(min=0)
    return residual / residual.sum()
