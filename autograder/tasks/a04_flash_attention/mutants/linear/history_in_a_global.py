"""Keeps every key in a variable of its own, beside a state of one number that does not grow.

kills: the_state_has_one_size
visible: steps_remember_by_their_state
"""

# %% linear
HISTORY = []


def features(x):
    return torch.nn.functional.elu(x) + 1


def linear_attention(q, k, v):
    phi_q, phi_k = features(q), features(k)
    return phi_q @ (phi_k.T @ v) / (phi_q @ phi_k.sum(0))[:, None]


def linear_step(state, q, k, v):
    if state is None:
        HISTORY.clear()
    HISTORY.append((k, v))
    keys, values = (torch.stack(part) for part in zip(*HISTORY, strict=True))
    weights = features(keys) @ features(q)
    return weights @ values / weights.sum(), (torch.zeros(1), torch.zeros(1))
