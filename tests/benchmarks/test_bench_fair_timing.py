"""The fair-timing benchmark: a slowdown beyond the noise makes a verdict INVALID and never takes points."""

import sys
from pathlib import Path

import pytest

from autograder.judge.timing import Interval, Sample, TimingResult

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))


def verdict(median: float = 1.0) -> TimingResult:
    return TimingResult(2.0, Interval(median, median - 0.01, median + 0.01), [Sample([1.0], [1.0], [1.0])] * 5)


def test_a_replayed_slowdown_is_refused_once_it_is_beyond_the_noise() -> None:
    from bench_fair_timing import FACTORS, replayed

    found = [replayed([verdict()] * 3, factor) for factor in FACTORS]
    assert [one["invalid"] for one in found] == [0 if factor < 1.08 else 3 for factor in FACTORS]
    assert all(points in (None, 2.0) for one in found for points in one["points"])


def test_pooled_verdicts_are_ratios_to_what_was_planted() -> None:
    from bench_fair_timing import pooled

    row = pooled("delay", [verdict(0.5), verdict(0.49), verdict(0.52)], 0.5)
    assert (row.ratio, row.low, row.high) == pytest.approx((1.0, 0.96, 1.06))
    nothing = pooled("delay", [TimingResult(None, None)], 0.5)
    assert nothing.ratio != nothing.ratio


@pytest.mark.slow
def test_a_verdict_on_real_workers_gives_the_planted_points() -> None:
    from bench_fair_timing import SAME, THRESHOLDS, TWICE, plain, verdict

    from autograder.judge import sandbox
    from autograder.judge.sandbox import Limits
    from autograder.judge.worker_process import ForkServer
    from autograder.judge.workspace import Workspace

    if not sandbox.state()[0]:
        pytest.skip(sandbox.state()[1])
    with Workspace(ROOT / "lib") as space, ForkServer(space, Limits()) as fork_server:
        same, twice = verdict(fork_server, SAME, b"a key"), verdict(fork_server, TWICE, b"a key")
    assert same.points in (None, THRESHOLDS[-1][1])
    assert twice.points in (None, 0.0, 0.5)
    assert set(plain(same)) == {"points", "interval", "samples"}
