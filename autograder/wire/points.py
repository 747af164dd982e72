"""The points of a speed check: what the judge gives for a speedup, and the pages draw."""

import itertools
import math
from collections.abc import Sequence

STEP = 0.5  # points


def points_for(speedup: float, thresholds: Sequence[tuple[float, float]]) -> float:
    """Points at a speedup: linear in log2(speedup) between the thresholds, rounded down to half points, capped."""
    if speedup <= thresholds[0][0]:
        return thresholds[0][1] if speedup == thresholds[0][0] else 0.0
    for (low, fewer), (high, more) in itertools.pairwise(thresholds):
        if speedup < high:
            exact = fewer + (more - fewer) * math.log2(speedup / low) / math.log2(high / low)
            return math.floor(exact / STEP + 1e-9) * STEP
    return thresholds[-1][1]


def steps(thresholds: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The speedups at which the points of `points_for` rise, with what they rise to."""
    found = [(thresholds[0][0], thresholds[0][1])] if thresholds[0][1] else []
    for (low, fewer), (high, more) in itertools.pairwise(thresholds):
        for halves in range(math.floor(fewer / STEP) + 1, math.floor(more / STEP) + 1):
            share = (halves * STEP - fewer) / (more - fewer)
            found.append((low * (high / low) ** share, halves * STEP))
    return found
