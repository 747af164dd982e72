"""One speed check in the judge: its secret inputs, the two sides, and what is told of the outcome."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autograder.checks import UNUSABLE, Check, CheckFailed, Draws, Trial, unusable
from autograder.judge import timing
from autograder.judge.remote_call import RemoteCall, TaskError
from autograder.runtime.device import Busy

MIN_EMPTY_CALLS = 50  # a timed call of the reference should take at least this many empty calls
MAX_KEPT = 64  # trials
CALL_S = 60.0  # one timed call


@dataclass(frozen=True)
class SpeedOutcome:
    """Points (None: the machine was too disturbed), a sentence for the student, everything else for the audit."""

    points: float | None
    sentence: str
    details: Mapping[str, Any]


class Trials:
    """The inputs of timed calls by index, each from its own HMAC of the run's key; made when they are first needed."""

    def __init__(self, check: Check, key: bytes) -> None:
        self._check, self._key = check, key
        self._made: dict[int, Trial] = {}

    def __getitem__(self, index: int) -> Trial:
        if index not in self._made:
            self._made = dict(list(self._made.items())[-MAX_KEPT:])
            self._made[index] = self._check.run(Draws(self._key, self._check.name, index))
        return self._made[index]


class Side:
    """One side of a timing: calls a function in a worker on the inputs with given indices."""

    def __init__(self, trials: Trials, function: str, call: RemoteCall) -> None:
        self._trials, self._function, self._call = trials, function, call
        self.wall_s: list[float] = []

    def block(self, inputs: range) -> list[float]:
        """Seconds of each call, by the clock that decides."""
        trials = [self._trials[index] for index in inputs]  # made before the first call: nothing happens between calls
        times, captured = [], []
        for trial in trials:
            args, kwargs = self._arguments(trial)
            self._call.grant(CALL_S)
            captured.append(self._call(self._function, *args, **kwargs))
            times.append(self._call.decisive_s)
            self.wall_s.append(self._call.wall_s)
        for trial, result in zip(trials, captured, strict=True):
            self._verify(trial, result)
        return times

    def _arguments(self, trial: Trial) -> tuple[tuple, Mapping[str, Any]]:
        return trial.args, trial.kwargs

    def _verify(self, trial: Trial, result: Any) -> None:
        pass


class Student(Side):
    """The student's side: each captured answer is verified, and nothing goes on after it; else CheckFailed."""

    def block(self, inputs: range) -> list[float]:
        times = super().block(inputs)
        self._call.require_idle()
        return times

    def _verify(self, trial: Trial, result: Any) -> None:
        try:
            trial.verify(result)
        except UNUSABLE as error:
            raise CheckFailed(unusable(error)) from error


class Baseline(Side):
    """Our side: the baseline with that number in the check, which may take other arguments."""

    def __init__(self, trials: Trials, name: str, number: int, call: RemoteCall) -> None:
        super().__init__(trials, injected_name(number), call)
        self.name = name

    def block(self, inputs: range) -> list[float]:
        """Seconds of each call; raises TaskError where our own code fails."""
        try:
            return super().block(inputs)
        except CheckFailed as failure:
            raise TaskError(f"baseline {self.name}: {failure}") from None

    def _arguments(self, trial: Trial) -> tuple[tuple, Mapping[str, Any]]:
        return (trial.baseline_args[self.name], {}) if self.name in trial.baseline_args else super()._arguments(trial)


def injected_name(number: int) -> str:
    """What the baseline with this number is called in our worker."""
    return f"baseline_{number}"


def injects(check: Check) -> dict[str, str]:
    """The names that our worker needs for a check's baselines."""
    assert check.speed is not None
    return {injected_name(number): target for number, target in enumerate(check.speed.baselines.values())}


def time_check(
    check: Check, key: bytes, student: RemoteCall, ours: RemoteCall, plan: timing.Plan | None = None
) -> SpeedOutcome:
    """Time a student's function against the first baseline, and report how the others compare.

    On a CPU the worker's CPU time decides, read from outside. The worker is one process and cannot have others, so its
    clock counts all the work there is, in whatever thread; what it uses between two answers belongs to the second of
    them, so nothing is gained by working while nobody waits. Wall time is recorded beside it. On a GPU the judge's
    clock decides, from the call until the captured bytes are in private memory.

    Args:
        plan: how long and how often; by default ours, with the noise that the device is allowed.

    Raises:
        CheckFailed: an answer in a timed call was wrong, or there was none.
    """
    assert check.speed is not None
    device = student.device
    plan = plan or replace(timing.PLAN, noise=device.noise or timing.PLAN.noise)
    trials, names = Trials(check, key), list(check.speed.baselines)
    for call in (student, ours):
        call.begin(check.name)
        call.start()
    main, *others = (Baseline(trials, name, number, ours) for number, name in enumerate(names))
    side = Student(trials, check.speed.function, student)
    before = device.state()
    try:
        verdict = timing.judge_speed(main, side, check.speed.thresholds, plan)
        student.require_idle()  # while ours ran for the last time, too
    except Busy:
        sentence = "Something that is not yours ran on the device: speed does not count here."
        return SpeedOutcome(None, sentence, {"baseline": main.name, "device": [before, device.state()]})
    wall_s = {"baseline": statistics.median(main.wall_s), "student": statistics.median(side.wall_s)}
    details = {"baseline": main.name, "round_trip_us": ours.round_trip_us, "wall_s": wall_s, **verdict.summary()}
    details |= {"device": [before, device.state()]} if before else {}
    details["thresholds"] = [list(threshold) for threshold in check.speed.thresholds]
    if verdict.points is None or verdict.interval is None:
        sentence = f"The machine was too busy to time this fairly, {plan.runs} times over: speed does not count here."
        return SpeedOutcome(None, sentence, details)
    details["others"] = {other.name: _compared(other, side, verdict.calls) for other in others}
    details["too_short"] = 1e6 * verdict.reference_s < MIN_EMPTY_CALLS * (ours.round_trip_us or 0)
    sentence = _sentence(main.name, verdict.interval, details["others"])
    if verdict.by_student:
        sentence += " Your function's calls slowed down ours after them, so the quicker of ours counted each time."
    return SpeedOutcome(verdict.points, sentence, details)


def _compared(other: Baseline, student: Student, calls: int) -> float:
    """The student's speedup over another baseline, from one block each on inputs of their own."""
    inputs = range(10**6, 10**6 + calls)
    times = {}
    for name, side in (("other", other), ("student", student)):
        side.block(range(inputs.start - 1, inputs.start))
        times[name] = sum(side.block(inputs))
    return times["other"] / times["student"]


def _sentence(baseline: str, found: timing.Interval, others: Mapping[str, float]) -> str:
    first = f"{found.median:.2f} times as fast as {baseline} (95 % interval {found.low:.2f} to {found.high:.2f})"
    return "; ".join([first, *(f"{ratio:.2f} times as fast as {name}" for name, ratio in others.items())]) + "."
