"""Performer: the estimate of the softmax kernel has no bias, and gets closer with more features."""

import math

import pytest
import torch

from nimblelm.nn.long_range.performer import (
    log_softmax_features,
    orthogonal_directions,
    performer_attention,
    relative_spread,
)
from tests.nn.long_range.cases import dense, tensors


def test_the_estimate_of_the_softmax_kernel_has_no_bias():
    rng = torch.Generator().manual_seed(0)
    q, k = 0.4 * torch.randn(2, 6, 8, generator=rng).double()
    estimates = []
    for _ in range(2000):
        directions = orthogonal_directions(16, 8, rng).double()
        features = (log_softmax_features(x, directions).exp() for x in (q, k))
        estimates.append((next(features) * next(features)).sum(-1))
    estimates = torch.stack(estimates)
    error = estimates.mean(0) - (q * k).sum(-1).exp()
    standard_error = estimates.std(0) / len(estimates) ** 0.5
    assert (error.abs() < 4.5 * standard_error).all()
    assert (standard_error < 0.05 * (q * k).sum(-1).exp()).all()  # so that a bias would show


@pytest.mark.parametrize("size", [0.1, 0.5, 1.0, 2.0])
def test_the_spread_of_the_estimate_is_that_of_an_integral_over_directions(size):
    q, k = size * torch.nn.functional.normalize(torch.randn(2, 5, 8, dtype=torch.float64), dim=-1)
    length = (q + k).norm(dim=-1)
    g = torch.linspace(-30, 30, 200_001, dtype=torch.float64)  # a direction's component along q + k
    density = (-g.square() / 2).exp() / math.sqrt(2 * math.pi)
    feature = (g * length[:, None] - (q.square() + k.square()).sum(-1, keepdim=True) / 2).exp()
    first, second = (torch.trapezoid(feature**power * density, g) for power in (1, 2))
    torch.testing.assert_close(first, (q * k).sum(-1).exp())
    expected = ((second / first.square() - 1) / 64).sqrt()
    torch.testing.assert_close(relative_spread(q, k, 64), expected, atol=0, rtol=1e-6)


def test_the_spread_is_seen_in_samples_where_it_is_small():
    rng = torch.Generator().manual_seed(0)
    q = k = torch.full((4,), 0.2, dtype=torch.float64)
    directions = torch.randn(4000, 16, 4, generator=rng, dtype=torch.float64)  # independent
    products = [log_softmax_features(q, rows).exp() @ log_softmax_features(k, rows).exp() for rows in directions]
    estimates = torch.stack(products) / (q @ k).exp()
    torch.testing.assert_close(estimates.std(), relative_spread(q, k, 16), atol=0, rtol=0.1)
    assert abs(estimates.mean() - 1) < 4.5 * relative_spread(q, k, 16) / len(estimates) ** 0.5


def test_directions_are_orthogonal_and_as_long_as_normal_vectors():
    directions = orthogonal_directions(2000, 8, torch.Generator().manual_seed(0))
    group = directions[8:16]
    products = group @ group.T
    torch.testing.assert_close(products, torch.diag(products.diagonal()), atol=1e-4, rtol=0)
    squares = directions.square().sum(1)  # chi-square with 8 degrees of freedom: mean 8, variance 16
    assert abs(squares.mean() - 8) < 5 * (16 / 2000) ** 0.5
    assert abs(squares.var() - 16) < 4


def test_more_features_come_closer_to_softmax_attention():
    q, k, v = (0.5 * x for x in tensors(24))  # the spread grows as exp(|q + k|^2)
    errors = []
    for num_features in (16, 256, 4096):
        directions = orthogonal_directions(num_features, 8, torch.Generator().manual_seed(1)).double()
        errors.append((performer_attention(q, k, v, directions) - dense(q, k, v)).square().mean().sqrt())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.05


def test_causal_attention_comes_close_too_and_sees_no_future():
    q, k, v = (0.5 * x for x in tensors(24))
    directions = orthogonal_directions(4096, 8, torch.Generator().manual_seed(1)).double()
    seen = torch.ones(24, 24, dtype=torch.bool).tril()
    out = performer_attention(q, k, v, directions, causal=True)
    assert (out - dense(q, k, v, seen)).square().mean().sqrt() < 0.05
    v[:, 10:] += 100
    torch.testing.assert_close(performer_attention(q, k, v, directions, causal=True)[:, :10], out[:, :10])
