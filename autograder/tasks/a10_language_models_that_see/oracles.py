"""Inputs and oracles that several exercises' hidden checks share."""

import math

import torch


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def integers(rng, high, *shape):
    return torch.randint(high, shape, generator=rng())


def softmax(values):
    """Of a list of numbers."""
    most = max(values)
    weights = [math.exp(value - most) for value in values]
    return [weight / sum(weights) for weight in weights]


def gelu(x):
    """The exact one."""
    return x * (1 + torch.erf(x / 2**0.5)) / 2
