"""Shrinks the sum but not the weighted values.

kills: every_cut_gives_the_same, the_maximum_never_falls
"""


# %% online
def absorb(state, scores, values):
    highest, total, weighted = state
    new_highest = torch.maximum(highest, scores.amax(1))
    base = torch.where(new_highest == float("-inf"), 0.0, new_highest)
    shrink = torch.exp(highest - base)
    p = torch.exp(scores - base[:, None])
    return new_highest, total * shrink + p.sum(1), weighted + p @ values


def finish(state):
    highest, total, weighted = state
    divisor = torch.where(total == 0, 1.0, total)
    return weighted / divisor[:, None], highest + torch.log(divisor)
