"""Leaves the queries as they are.

kills: outputs_are_weighted_means
"""


# %% linear
def features(x):
    return torch.nn.functional.elu(x) + 1


def linear_attention(q, k, v):
    phi_q, phi_k = q, features(k)
    return phi_q @ (phi_k.T @ v) / (phi_q @ phi_k.sum(0))[:, None]


def linear_step(state, q, k, v):
    phi_q, phi_k = features(q), features(k)
    weighted, total = phi_k[:, None] * v[None, :], phi_k
    if state is not None:
        weighted, total = state[0] + weighted, state[1] + total
    return phi_q @ weighted / (phi_q @ total), (weighted, total)
