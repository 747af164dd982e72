"""Fair timing on a machine that is never quiet: reference and student take turns.

Neither works but in its own calls, or it would slow down the other: `remote` stops its workers in between. Each
student's block of calls stands between two blocks of the reference on the same inputs. Their ratio is one sample;
where the two reference blocks disagree by more than the machine's own noise, the sample is discarded before anybody
looks at the student's times. Too few samples left: the timing is INVALID, and nobody loses points.

Unless it is the student's calls that disturb what comes after them, by giving back memory, say. Then the
reference is steady where they are left out: in a timing begun again each sample has a second pair of reference blocks
with an idle time between. What disturbs both pairs alike is the machine's noise; what disturbs the first is not.
"""

import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from autograder.wire.points import points_for

SURE = 0.005  # the chance to take the machine's noise for the student's
INPUTS_APART = 1000  # indices between the inputs of one sample and those of the next


@dataclass(frozen=True)
class Plan:
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


PLAN = Plan()


@dataclass(frozen=True)
class Sample:
    """Seconds of each call in a student's block and in the reference blocks before and after it, on the same inputs.

    `idle` are two more reference blocks, with nothing between them for as long as the student's took.
    """

    before: Sequence[float]
    student: Sequence[float]
    after: Sequence[float]
    idle: tuple[Sequence[float], Sequence[float]] | None = None

    @property
    def speedup(self) -> float:
        """Reference seconds over student's seconds."""
        return (sum(self.before) + sum(self.after)) / 2 / max(sum(self.student), 1e-9)

    @property
    def disagreement(self) -> float:
        """How far the reference blocks lie apart, as a share of the faster."""
        return _apart(self.before, self.after)

    @property
    def idle_disagreement(self) -> float:
        """The same of the blocks without the student between them."""
        assert self.idle is not None
        return _apart(*self.idle)

    @property
    def quieter(self) -> "Sample":
        """The same sample with the faster of the two reference blocks in the place of both."""
        least = min(self.before, self.after, key=sum)
        return replace(self, before=least, after=least)


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    return math.exp(abs(math.log(sum(one) / sum(other)))) - 1


@dataclass(frozen=True)
class Interval:
    """A median speedup and its 95 % interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class TimingResult:
    """What a timing gave; `points` is None where it was INVALID.

    `by_student` says that it would have been, but for its being the student's calls that disturbed it.
    """

    points: float | None
    interval: Interval | None
    samples: list[Sample] = field(default_factory=list)
    disturbed: int = 0
    calls: int = 0
    by_student: bool = False

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
        noise: as in Plan.

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


def judge_speed(
    reference: Contestant, student: Contestant, thresholds: Sequence[tuple[float, float]], plan: Plan = PLAN
) -> TimingResult:
    """Time the student against the reference, as often as it takes, and give the points.

    What a contestant raises goes through: a wrong output voids the timing.
    """
    stage = _Stage(reference, student, plan)
    for run in range(plan.runs):
        samples = stage.collect(plan.samples, 2 * plan.samples, with_idle=run > 0)
        if len(samples) < plan.samples:
            continue
        found = interval(samples, plan.noise)
        if points_for(found.low, thresholds) != points_for(found.high, thresholds):
            samples += stage.collect(plan.extra, plan.extra)
            found = interval(samples, plan.noise)
        return TimingResult(points_for(found.high, thresholds), found, samples, stage.disturbed, stage.calls)
    if not is_disturbed_by_student(stage.all, plan.noise):
        return TimingResult(None, None, stage.all, stage.disturbed, stage.calls)
    found = interval([sample.quieter for sample in stage.all], plan.noise)
    return TimingResult(
        points_for(found.median, thresholds), found, stage.all, stage.disturbed, stage.calls, by_student=True
    )


def is_disturbed_by_student(samples: Sequence[Sample], noise: float) -> bool:
    """Whether the reference is disturbed around the student's blocks and steady around as long an idle time.

    A sign test of the samples in which one pair of blocks was disturbed and the other was not: the machine's own noise
    falls into either pair as often as into the other.
    """
    pairs = [(one.disagreement > noise, one.idle_disagreement > noise) for one in samples if one.idle]
    around_student, differing = pairs.count((True, False)), sum(one != other for one, other in pairs)
    chance = sum(math.comb(differing, n) for n in range(around_student, differing + 1)) / 2**differing
    return chance <= SURE


class _Stage:
    """Lets the contestants take turns on inputs that are never used twice."""

    def __init__(self, reference: Contestant, student: Contestant, plan: Plan) -> None:
        self._reference, self._student, self._plan = reference, student, plan
        self.disturbed = 0
        self.all: list[Sample] = []
        warm = reference.block(range(2))
        student.block(range(2))
        self.calls = max(plan.min_calls, min(plan.max_calls, round(plan.block_s / max(warm[-1], 1e-6))))

    def collect(self, wanted: int, attempts: int, with_idle: bool = False) -> list[Sample]:
        """Undisturbed samples: as many as wanted, or fewer where the attempts did not give them."""
        good: list[Sample] = []
        for _ in range(attempts):
            if len(good) == wanted:
                break
            start = INPUTS_APART * (len(self.all) + 1)  # so that a regrade meets the same inputs, however many they are
            inputs = range(start, start + self.calls)
            before, began = self._reference.block(inputs), time.monotonic()
            students, took_s = self._student.block(inputs), time.monotonic() - began
            sample = Sample(before, students, self._reference.block(inputs))
            if with_idle:
                first = self._reference.block(inputs)
                time.sleep(took_s)
                sample = replace(sample, idle=(first, self._reference.block(inputs)))
            self.all.append(sample)
            if sample.disagreement <= self._plan.noise:
                good.append(sample)
            else:
                self.disturbed += 1
        return good
