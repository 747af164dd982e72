"""Takes -inf from -inf in rows that have seen no key.

kills: rows_may_see_nothing_at_first_or_at_all
"""


# %% online
def absorb(state, scores, values):
    highest, total, weighted = state
    new_highest = torch.maximum(highest, scores.amax(1))
    base = new_highest
    shrink = torch.exp(highest - base)
    p = torch.exp(scores - base[:, None])
    return new_highest, total * shrink + p.sum(1), weighted * shrink[:, None] + p @ values


def finish(state):
    highest, total, weighted = state
    divisor = torch.where(total == 0, 1.0, total)
    return weighted / divisor[:, None], highest + torch.log(divisor)
