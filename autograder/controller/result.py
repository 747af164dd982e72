"""What the judge found, read from its result file and checked before anything is recorded.

nbgrader gives full marks for a negative, NaN or textual score and discards a submission for one above the
maximum, so numbers are checked here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autograder.wire.errors import CannotGrade
from autograder.wire.text import one_line, printable

MAX_MESSAGE = 2000  # characters
EXERCISE_STATES = ("graded", "not_graded")
CHECK_STATES = ("passed", "failed", "not_graded")


@dataclass(frozen=True)
class CheckResult:
    """One check: `score` of `max` points (`max` is 0 for a visible check, which only informs).

    `details` are measurements, for a teacher's eyes; a check that was measured and still not graded was disturbed.
    """

    name: str
    title: str
    score: float
    max: float
    status: str
    message: str
    details: Mapping[str, Any]

    @property
    def is_disturbed(self) -> bool:
        return self.status == "not_graded" and bool(self.details)


@dataclass(frozen=True)
class ExerciseResult:
    """One exercise: `max` leaves out what could not be graded here, such as speed on a GPU that is not there.

    `log` is what the code printed, then the grader's own traceback if there is one, so that its last line is never the
    student's. Students never see it: their code could print inputs.
    """

    score: float
    max: float
    status: str
    checks: tuple[CheckResult, ...]
    log: str

    @property
    def grader_failed(self) -> bool:
        """A check of ours broke, as against one that this machine cannot run."""
        return self.status == "not_graded" and bool(self.log)

    @property
    def not_here(self) -> bool:
        """It needs a device that the judge's machine does not have."""
        return self.status == "not_graded" and not self.log

    @property
    def failure(self) -> str:
        """The last line of the grader's own traceback."""
        return self.log.strip().splitlines()[-1]


@dataclass(frozen=True)
class Result:
    """One judge run over one bundle.

    `varies` names the checks that came out otherwise when the same was judged again, see `variation`.
    """

    key: str
    judge_version: str
    sandbox: str
    exercises: Mapping[str, ExerciseResult]
    seconds: float
    varies: tuple[str, ...] = ()

    @property
    def graded(self) -> dict[str, ExerciseResult]:
        return {name: exercise for name, exercise in self.exercises.items() if exercise.status == "graded"}

    @property
    def score(self) -> float:
        return sum(exercise.score for exercise in self.graded.values())

    @property
    def max(self) -> float:
        return sum(exercise.max for exercise in self.graded.values())

    @property
    def grader_failed(self) -> bool:
        return any(exercise.grader_failed for exercise in self.exercises.values())

    @property
    def is_disturbed(self) -> bool:
        """Some check was left out because its timing stayed disturbed."""
        return any(check.is_disturbed for exercise in self.exercises.values() for check in exercise.checks)


def parse_result(raw: Any, key: str) -> Result:
    """The result in a judge's JSON.

    Raises:
        CannotGrade: it is not the result of job `key`, or a number or state in it cannot be true.
    """
    try:
        if raw["key"] != key:
            raise ValueError(f"it belongs to job {raw['key']!r}")
        exercises = {str(name): _exercise(name, found) for name, found in raw["exercises"].items()}
        varies = tuple(one_line(str(one), MAX_MESSAGE) for one in raw.get("varies", ()))
        return Result(key, str(raw["judge_version"]), str(raw["sandbox"]), exercises, float(raw["seconds"]), varies)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotGrade(f"The judge's result for job {key[:12]} is not usable: {error}") from None


def _exercise(name: str, raw: Mapping[str, Any]) -> ExerciseResult:
    status = _one_of(EXERCISE_STATES, raw["status"])
    score, best = _number(raw["score"]), _number(raw["max"])
    if not 0 <= score <= best:
        raise ValueError(f"exercise {name!r} has {score} of {best} points")
    log = printable(str(raw.get("log") or ""))
    return ExerciseResult(score, best, status, tuple(_check(one) for one in raw["checks"]), log)


def _check(raw: Mapping[str, Any]) -> CheckResult:
    return CheckResult(
        name=str(raw["name"]),
        title=str(raw["title"]),
        score=_number(raw["points"]),
        max=_number(raw["max"]),
        status=_one_of(CHECK_STATES, raw["status"]),
        message=one_line(str(raw.get("message") or ""), MAX_MESSAGE),
        details=raw.get("details") or {},
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number of points")
    return float(value)


def _one_of(known: tuple[str, ...], value: Any) -> str:
    if value not in known:
        raise ValueError(f"state {value!r} is none of {', '.join(known)}")
    return str(value)
