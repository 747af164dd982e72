"""The state is a number under which the whole history lies in a global.

kills: the_state_has_one_size
"""


# %% linear
def features(x):
    return torch.nn.functional.elu(x) + 1


def linear_attention(q, k, v):
    q, k = features(q), features(k)
    return q @ (k.T @ v) / (q @ k.sum(0))[:, None]


histories = {0: []}


def linear_step(state, q, k, v):
    seen = histories[0 if state is None else int(state[0])] + [(k, v)]
    histories[len(histories)] = seen
    keys, values = (torch.stack([one[i] for one in seen]) for i in (0, 1))
    weights = features(keys) @ features(q)
    return weights @ values / weights.sum(), (torch.tensor([len(histories) - 1.0]), torch.zeros(1))
