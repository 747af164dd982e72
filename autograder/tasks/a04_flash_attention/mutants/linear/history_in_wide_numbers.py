"""Keeps all keys and values, three of them with 21 bits each in a whole number of 64.

kills: the_state_has_one_size
"""


# %% linear
def features(x):
    return torch.nn.functional.elu(x) + 1


def linear_attention(q, k, v):
    phi_q, phi_k = features(q), features(k)
    return phi_q @ (phi_k.T @ v) / (phi_q @ phi_k.sum(0))[:, None]


PLACES = torch.tensor([0, 21, 42])


def linear_step(state, q, k, v):
    now = ((torch.cat([k, v]).double() + 8) * 2**17).round().long()
    if state is not None:
        before = (torch.cat(state)[:, None] >> PLACES & 2**21 - 1).flatten()
        now = torch.cat([before[: len(before) // len(now) * len(now)], now])
    keys, values = (now / 2**17 - 8).float().view(-1, len(k) + len(v)).split([len(k), len(v)], 1)
    weights = features(keys) @ features(q)
    packed = torch.cat([now, torch.zeros(-len(now) % 3, dtype=torch.long)]).view(-1, 3) << PLACES
    return weights @ values / weights.sum(), packed.sum(1).split([1, len(packed) - 1])
