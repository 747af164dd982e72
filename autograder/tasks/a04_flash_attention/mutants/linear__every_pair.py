"""Makes a weight for each pair: right, and quadratic.

kills: long_sequences_fit
"""


# %% linear
def features(x):
    return torch.nn.functional.elu(x) + 1


def linear_attention(q, k, v):
    phi_q, phi_k = features(q), features(k)
    weights = phi_q @ phi_k.T
    return weights @ v / weights.sum(1, keepdim=True)


def linear_step(state, q, k, v):
    phi_q, phi_k = features(q), features(k)
    weighted, total = phi_k[:, None] * v[None, :], phi_k
    if state is not None:
        weighted, total = state[0] + weighted, state[1] + total
    return phi_q @ weighted / (phi_q @ total), (weighted, total)
