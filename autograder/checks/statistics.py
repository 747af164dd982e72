"""How far draws may lie from their distribution: a chi-square test, and how many draws it needs."""

import math
from typing import Any

import torch
from torch import Tensor

MIN_EXPECTED = 5.0  # cells expected less often than this are pooled (Cochran's rule)


def chi_square_test(counts: Tensor, probs: Tensor) -> float:
    """p-value of Pearson's chi-square test (Pearson, 1900): the chance of counts at least this far from n * probs.

    Cells expected less than 5 times are pooled into one; an outcome of probability 0 that was seen gives 0.0.

    Args:
        counts: (K,) how often each outcome was seen.
        probs: (K,) probabilities, normalised here.

    Raises:
        ValueError: the shapes differ, or nothing was counted.
    """
    seen, expected = counts.to(torch.float64), probs.to(torch.float64)
    if seen.shape != expected.shape or seen.ndim != 1 or seen.sum() <= 0:
        raise ValueError(
            f"counts {tuple(seen.shape)} and probs {tuple(expected.shape)} do not match, or nothing was counted"
        )
    expected = expected / expected.sum() * seen.sum()
    if bool((seen[expected == 0] > 0).any()):
        return 0.0
    small = expected < MIN_EXPECTED
    seen, expected = _pooled(seen, small), _pooled(expected, small)
    degrees = int((expected > 0).sum()) - 1
    if degrees < 1:
        return 1.0
    keep = expected > 0
    statistic = ((seen - expected)[keep] ** 2 / expected[keep]).sum()
    return _upper_tail(statistic, degrees).item()


def _pooled(cells: Tensor, small: Tensor) -> Tensor:
    return torch.cat([cells[~small], cells[small].sum()[None]])


def _upper_tail(statistic: Tensor, degrees: int | Tensor) -> Tensor:
    """P(chi-square with that many degrees of freedom > statistic)."""
    half = torch.as_tensor(degrees, dtype=torch.float64) / 2
    return torch.special.gammaincc(half, torch.as_tensor(statistic, dtype=torch.float64) / 2)


def draws_needed(probs: Tensor, wrong_probs: Tensor, significance: float = 1e-6, power: float = 0.999) -> int:
    """How many draws a chi-square test needs to tell a wrong distribution from the right one.

    Under the wrong distribution the statistic is about noncentral chi-square with noncentrality n * sum((w - p)^2 / p)
    (Cohen, 1988, chapter 7), a Poisson mixture of central ones.

    Args:
        probs, wrong_probs: (K,) the two distributions.
        significance: the chance that the right distribution fails.
        power: the chance that the wrong one does.

    Raises:
        ValueError: the distributions are equal.
    """
    p, w = (given.to(torch.float64) / given.to(torch.float64).sum() for given in (probs, wrong_probs))
    possible = p > 0
    effect = float(((w - p)[possible] ** 2 / p[possible]).sum())
    if effect < 1e-12:
        raise ValueError("the two distributions are equal: no number of draws tells them apart")
    degrees = int(possible.sum()) - 1
    critical = _bisect(lambda x: _upper_tail(torch.tensor(x), degrees).item() < significance, 0.0, 1e4)
    enough = _bisect(lambda noncentrality: _noncentral_upper_tail(critical, degrees, noncentrality) > power, 0.0, 1e4)
    return math.ceil(enough / effect)


def _noncentral_upper_tail(statistic: float, degrees: int, noncentrality: float) -> float:
    mean = noncentrality / 2
    j = torch.arange(int(mean + 12 * math.sqrt(mean + 1)) + 20, dtype=torch.float64)
    weights = torch.exp(j * math.log(max(mean, 1e-300)) - mean - torch.lgamma(j + 1))
    return float((weights * _upper_tail(torch.tensor(statistic), degrees + 2 * j)).sum())


def _bisect(holds: Any, low: float, high: float) -> float:
    """The least x in the range for which a rising condition holds."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
