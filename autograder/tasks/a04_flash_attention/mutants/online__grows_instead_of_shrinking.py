"""Takes the new maximum from the old one the wrong way round.

kills: every_cut_gives_the_same
"""


# %% online
def absorb(state, scores, values):
    highest, total, weighted = state
    new_highest = torch.maximum(highest, scores.amax(1))
    base = torch.where(new_highest == float("-inf"), 0.0, new_highest)
    shrink = torch.exp(base - torch.where(highest == float("-inf"), base, highest))
    p = torch.exp(scores - base[:, None])
    return new_highest, total * shrink + p.sum(1), weighted * shrink[:, None] + p @ values


def finish(state):
    highest, total, weighted = state
    divisor = torch.where(total == 0, 1.0, total)
    return weighted / divisor[:, None], highest + torch.log(divisor)
