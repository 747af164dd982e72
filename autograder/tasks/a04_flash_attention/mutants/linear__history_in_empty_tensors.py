"""Keeps all keys and values, a byte as the size of a tensor in which there is nothing.

kills: the_state_has_one_size
"""


# %% linear
def features(x):
    return torch.nn.functional.elu(x) + 1


def linear_attention(q, k, v):
    phi_q, phi_k = features(q), features(k)
    return phi_q @ (phi_k.T @ v) / (phi_q @ phi_k.sum(0))[:, None]


def linear_step(state, q, k, v):
    state = [*(state or []), *(torch.empty(byte, 0) for byte in torch.cat([k, v]).view(torch.uint8).tolist())]
    seen = torch.tensor([len(x) for x in state], dtype=torch.uint8).view(torch.float32).view(-1, len(k) + len(v))
    weights = features(q) @ features(seen[:, : len(k)]).T
    return weights @ seen[:, len(k) :] / weights.sum(), state
