"""Times of alternatives that take turns in one run, and the ratio between two of them."""

import math
import random
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def interleaved_times(
    alternatives: Mapping[Name, Callable[[], object]], repeats: int, warmups: int = 1
) -> dict[Name, list[float]]:
    """Seconds that each alternative took, in rounds in which all take one turn.

    Taking turns spreads the machine's slow drift over all of them alike. On a GPU an alternative synchronises itself.

    Args:
        alternatives: what to call, by name.
        repeats: timed rounds.
        warmups: untimed rounds before.

    Returns:
        For each name its `repeats` times in seconds; entries with the same index were taken side by side.

    Raises:
        ValueError: no timed round, or a negative number of untimed ones.

    Chapter: book/ch02_speculative_decoding
    """
    if not (repeats >= 1 and warmups >= 0):
        raise ValueError(f"repeats {repeats} must be 1 or more, warmups {warmups} 0 or more")
    times: dict[Name, list[float]] = {name: [] for name in alternatives}
    for turn in range(warmups + repeats):
        for name, call in alternatives.items():
            began = time.perf_counter()
            call()
            elapsed_s = time.perf_counter() - began
            if turn >= warmups:
                times[name].append(elapsed_s)
    return times


def ratio_interval(
    numerator: list[float], denominator: list[float], resamples: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Median of the side-by-side ratios, and its 95 % bootstrap interval.

    Efron's percentile interval (Efron and Tibshirani, 1993, chapter 13) over the paired ratios.

    Args:
        numerator, denominator: times taken side by side, pair by pair.

    Returns:
        (median, low, high).

    Raises:
        ValueError: the lists are empty or differ in length, a time is not positive and finite, or no resamples.

    Chapter: book/ch02_speculative_decoding
    """
    if not numerator or len(numerator) != len(denominator):
        raise ValueError(f"got {len(numerator)} and {len(denominator)} times, equal numbers above 0 are needed")
    if not all(0 < t < math.inf for t in (*numerator, *denominator)) or not resamples >= 1:
        raise ValueError(f"a time is not positive and finite, or resamples {resamples} is below 1")
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    rng = random.Random(seed)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(resamples))
    return statistics.median(ratios), medians[int(0.025 * resamples)], medians[int(0.975 * resamples) - 1]
