"""Fair timing on a machine that is never quiet: reference and student take turns.

Neither works but in its own calls, or it would slow down the other: `remote` stops its workers in between. Each
student's block of calls stands between two blocks of the reference on the same inputs. Their ratio is one sample;
where the two reference blocks disagree by more than the machine's own noise, the sample is thrown away before anybody
looks at the student's times. Too few samples left: the timing is INVALID, and nobody loses points.
"""

import itertools
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

STEP = 0.5  # points
INPUTS_APART = 1000  # indices between the inputs of one sample and those of the next


@dataclass(frozen=True)
class Policy:
    """How long and how often to measure.

    Args:
        noise: how far two reference blocks on the same inputs may lie apart, as a share. On two busy shared cores the
            CPU time of half-second blocks stays within the default 29 times in 30.
        samples: valid samples that a verdict needs; at most twice as many are taken for them.
        extra: further samples where the interval straddles a step of points.
        runs: how often a timing that turned out INVALID is begun.
        block_s: seconds of the reference in one block, which sets the number of calls within the bounds.
    """

    noise: float = 0.08
    samples: int = 5
    extra: int = 3
    runs: int = 3
    block_s: float = 0.5
    min_calls: int = 3
    max_calls: int = 20


POLICY = Policy()


@dataclass(frozen=True)
class Sample:
    """Seconds of each call in a student's block and in the reference blocks before and after it, on the same inputs."""

    before: Sequence[float]
    student: Sequence[float]
    after: Sequence[float]

    @property
    def speedup(self) -> float:
        """Reference seconds over student's seconds."""
        return (sum(self.before) + sum(self.after)) / 2 / max(sum(self.student), 1e-9)

    @property
    def disagreement(self) -> float:
        """How far the reference blocks lie apart, as a share of the faster."""
        return math.exp(abs(math.log(sum(self.before) / sum(self.after)))) - 1


@dataclass(frozen=True)
class Interval:
    """A median speedup and its 95 % interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What a timing gave; `points` is None where it was INVALID."""

    points: float | None
    interval: Interval | None
    samples: list[Sample] = field(default_factory=list)
    disturbed: int = 0
    calls: int = 0

    @property
    def reference_s(self) -> float:
        """Median seconds of one call of the reference."""
        return statistics.median(time for sample in self.samples for time in (*sample.before, *sample.after))

    def summary(self) -> dict[str, Any]:
        """For the audit: everything, in plain types."""
        return {**asdict(self), "valid": self.points is not None}


class Contestant(Protocol):
    """One side of a timing: gives the seconds of calls by their indices, on the same inputs as the other side."""

    def block(self, inputs: range) -> list[float]: ...


def interval(samples: Sequence[Sample], noise: float, resamples: int = 2000) -> Interval:
    """Median speedup with its 95 % bootstrap interval (Efron and Tibshirani, 1993, chapter 13).

    A few samples can agree by chance: the interval is never narrower than what the noise of that many blocks allows.

    Args:
        noise: as in Policy.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("there are 0 samples, 1 at least is needed")
    speedups = [sample.speedup for sample in samples]
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(speedups, k=len(speedups))) for _ in range(resamples))
    median, floor = statistics.median(speedups), noise / (2 * math.sqrt(len(speedups)))
    low, high = medians[int(0.025 * resamples)], medians[int(0.975 * resamples) - 1]
    return Interval(median, min(low, median / (1 + floor)), max(high, median * (1 + floor)))


def points_for(speedup: float, knots: Sequence[tuple[float, float]]) -> float:
    """Points at a speedup: linear in log2(speedup) between the knots, rounded down to half points, capped."""
    if speedup <= knots[0][0]:
        return knots[0][1] if speedup == knots[0][0] else 0.0
    for (low, fewer), (high, more) in itertools.pairwise(knots):
        if speedup < high:
            exact = fewer + (more - fewer) * math.log2(speedup / low) / math.log2(high / low)
            return math.floor(exact / STEP + 1e-9) * STEP
    return knots[-1][1]


def steps(knots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The speedups at which the points of `points_for` rise, with what they rise to."""
    found = [(knots[0][0], knots[0][1])] if knots[0][1] else []
    for (low, fewer), (high, more) in itertools.pairwise(knots):
        for halves in range(math.floor(fewer / STEP) + 1, math.floor(more / STEP) + 1):
            share = (halves * STEP - fewer) / (more - fewer)
            found.append((low * (high / low) ** share, halves * STEP))
    return found


def judge_speed(
    reference: Contestant, student: Contestant, knots: Sequence[tuple[float, float]], policy: Policy = POLICY
) -> Verdict:
    """Time the student against the reference, as often as it takes, and give the points.

    What a contestant raises goes through: a wrong output voids the timing.
    """
    stage = _Stage(reference, student, policy)
    for _ in range(policy.runs):
        samples = stage.collect(policy.samples, 2 * policy.samples)
        if len(samples) < policy.samples:
            continue
        found = interval(samples, policy.noise)
        if points_for(found.low, knots) != points_for(found.high, knots):
            samples += stage.collect(policy.extra, policy.extra)
            found = interval(samples, policy.noise)
        return Verdict(points_for(found.high, knots), found, samples, stage.disturbed, stage.calls)
    return Verdict(None, None, stage.all, stage.disturbed, stage.calls)


class _Stage:
    """Lets the contestants take turns on inputs that are never used twice."""

    def __init__(self, reference: Contestant, student: Contestant, policy: Policy) -> None:
        self._reference, self._student, self._policy = reference, student, policy
        self.disturbed = 0
        self.all: list[Sample] = []
        warm = reference.block(range(2))
        student.block(range(2))
        self.calls = max(policy.min_calls, min(policy.max_calls, round(policy.block_s / max(warm[-1], 1e-6))))

    def collect(self, wanted: int, attempts: int) -> list[Sample]:
        """Undisturbed samples: as many as wanted, or fewer where the attempts did not give them."""
        good: list[Sample] = []
        for _ in range(attempts):
            if len(good) == wanted:
                break
            start = INPUTS_APART * (len(self.all) + 1)  # so that a regrade meets the same inputs, however many they are
            inputs = range(start, start + self.calls)
            before = self._reference.block(inputs)
            students = self._student.block(inputs)
            sample = Sample(before, students, self._reference.block(inputs))
            self.all.append(sample)
            if sample.disagreement <= self._policy.noise:
                good.append(sample)
            else:
                self.disturbed += 1
        return good
