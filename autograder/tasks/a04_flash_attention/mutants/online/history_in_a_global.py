"""Keeps every tile in a list, and computes from it when it is asked to finish.

kills: every_cut_gives_the_same, the_maximum_never_falls, large_scores_do_not_overflow, rows_may_see_nothing_at_first_or_at_all
visible: a_tile_of_lower_scores_leaves_the_maximum, finishing_gives_output_and_log_sum_exp
"""

# %% online
tiles = []


def absorb(state, scores, values, softcap=None):
    if softcap is not None:
        scores = torch.where(scores == float("-inf"), scores, softcap * torch.tanh(scores / softcap))
    if bool((state[0] == float("-inf")).all()) and bool((state[1] == 0).all()):
        tiles.clear()
    tiles.append((scores, values))
    scores, values = together()
    m_i = scores.amax(1)
    p = torch.exp(scores - torch.where(m_i.isinf(), 0.0, m_i)[:, None])
    return m_i, p.sum(1), p @ values


def together():
    return [torch.cat([one[i] for one in tiles], 1 - i) for i in (0, 1)]


def finish(state):
    scores, values = together()
    lse = scores.logsumexp(1)
    return torch.softmax(scores, 1).nan_to_num() @ values, lse
