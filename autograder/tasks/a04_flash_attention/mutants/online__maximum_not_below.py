"""Takes no maximum below -2500, so lower scores all come to nothing.

kills: large_scores_do_not_overflow
"""


# %% online
def absorb(state, scores, values):
    highest, total, weighted = state
    new_highest = torch.maximum(highest, scores.amax(1))
    base = new_highest.clamp(min=-2500.0)
    shrink = torch.exp(highest - base)
    p = torch.exp(scores - base[:, None])
    return new_highest, total * shrink + p.sum(1), weighted * shrink[:, None] + p @ values


def finish(state):
    highest, total, weighted = state
    divisor = torch.where(total == 0, 1.0, total)
    return weighted / divisor[:, None], highest + torch.log(divisor)
