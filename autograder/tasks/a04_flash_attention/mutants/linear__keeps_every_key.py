"""Keeps the keys and values themselves, as a cache does.

kills: the_state_has_one_size
"""


# %% linear
def features(x):
    return torch.nn.functional.elu(x) + 1


def linear_attention(q, k, v):
    phi_q, phi_k = features(q), features(k)
    return phi_q @ (phi_k.T @ v) / (phi_q @ phi_k.sum(0))[:, None]


def linear_step(state, q, k, v):
    phi_q, phi_k = features(q), features(k)
    keys, values = phi_k[None], v[None]
    if state is not None:
        keys, values = torch.cat([state[0], keys]), torch.cat([state[1], values])
    weights = keys @ phi_q
    return weights @ values / weights.sum(), (keys, values)
