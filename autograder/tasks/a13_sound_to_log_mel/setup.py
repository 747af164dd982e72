import math

import torch


def by_definition(x, root, modulus):
    """Every entry of the transform, and of them the sum alone: what is timed against is no answer to an exercise."""
    length, powers = x.shape[-1], [1]
    for _ in range(1, length):
        powers += [powers[-1] * root % modulus]
    powers, n = torch.tensor(powers), torch.arange(length)
    entries = [(powers[k * n % length] * x % modulus).sum(1) % modulus for k in range(length)]
    return sum(entries) % modulus
