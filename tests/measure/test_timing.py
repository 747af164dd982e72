"""Interleaved timing and its interval, on planted times."""

import itertools
import random
import time

import pytest

from nimblelm.measure.timing import interleaved_times, ratio_interval


def test_alternatives_take_turns(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    calls = []
    times = interleaved_times({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3)
    assert calls == ["a", "b"] * 4
    assert times == {"a": [1.0] * 3, "b": [1.0] * 3}


def test_the_interval_holds_a_planted_ratio_in_spite_of_drift():
    rng = random.Random(0)
    drift = [1 + i / 10 for i in range(40)]
    slow = [2.0 * d * rng.uniform(0.95, 1.05) for d in drift]
    fast = [1.0 * d * rng.uniform(0.95, 1.05) for d in drift]
    median, low, high = ratio_interval(slow, fast)
    assert low < 2.0 < high
    assert low <= median <= high
    assert high - low < 0.15


def test_unequal_lists_are_refused():
    with pytest.raises(ValueError, match="2 and 1"):
        ratio_interval([1.0, 2.0], [1.0])
