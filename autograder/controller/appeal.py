"""An appeal: one submission judged once more from its run key, and what came out set beside what is on record.

The inputs derive from the course's secret and the submission, so the same judge must find the same correctness; only a
timing may differ. Nothing is changed unless `record` is called.
"""

import shlex
from dataclasses import dataclass, replace
from typing import Any

from autograder.controller import grading
from autograder.controller.course import Course
from autograder.controller.executor import Executor
from autograder.controller.grading import StudentProgress
from autograder.controller.judge_runs import Job, Policy, judging_for
from autograder.controller.names import shown
from autograder.controller.record import ClassRecord, Record, read_class
from autograder.controller.result import CheckResult, Result, parse_result
from autograder.controller.variation import VARIES, until_it_varies
from autograder.wire.errors import CannotGrade, UsageError


@dataclass(frozen=True)
class Pair:
    """One check as it is on record and as it came out now; None where a version of the task does not have it."""

    exercise: str
    old: CheckResult | None
    new: CheckResult | None

    @property
    def either(self) -> CheckResult:
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def is_timed(self) -> bool:
        """Measured both times, which may come out differently: everything else may not."""
        return all(bool(check.details) for check in (self.old, self.new) if check is not None)

    @property
    def differs(self) -> bool:
        return _outcome(self.old) != _outcome(self.new)


@dataclass(frozen=True)
class Appeal:
    """Both outcomes of one submission.

    Args:
        standing: what is on record, marks by hand and lateness included; it has a result.
        same_judge: judge, library, versions and device are those that the outcome on record came from.
        raw: the new outcome as the judge left it.
        varies: the checks that came out now one way, now another under the same judge, so the submission varies.
    """

    standing: Record
    job: Job
    new: Result
    same_judge: bool
    raw: dict[str, Any]
    varies: tuple[str, ...] = ()

    @property
    def student(self) -> str:
        return self.standing.student

    @property
    def old(self) -> Result:
        assert self.standing.result is not None
        return self.standing.result

    @property
    def pairs(self) -> list[Pair]:
        """Every check of both outcomes, in order."""
        old, new = _checks(self.old), _checks(self.new)
        return [Pair(key[0], old.get(key), new.get(key)) for key in {**new, **old}]

    @property
    def same_correctness(self) -> bool:
        return not any(pair.differs for pair in self.pairs if not pair.is_timed)

    @property
    def breaks_the_promise(self) -> bool:
        """The same judge found another correctness, and found it each time: the record is not to be trusted."""
        return self.same_judge and not self.same_correctness and not self.varies

    def json(self, recorded: bool) -> dict[str, Any]:
        """The object of `autograder appeal --json`."""
        return {
            "student": self.student,
            "assignment": self.job.bundle.assignment,
            "bundle": self.job.bundle.sha256,
            "same_judge": self.same_judge,
            "same_correctness": self.same_correctness,
            "varies": list(self.varies),
            "recorded": recorded,
            "old": {"score": self.old.score, "max": self.old.max},
            "new": {"score": self.new.score, "max": self.new.max},
            "record": {"score": self.standing.score, "max": self.standing.max, **self.standing.json()},
            "checks": [
                {"exercise": pair.exercise, "name": pair.either.name, "title": pair.either.title,
                 "timed": pair.is_timed, "differs": pair.differs, "old": _json(pair.old), "new": _json(pair.new)}
                for pair in self.pairs
            ],
        }  # fmt: skip


def appeal(
    course: Course,
    assignment: str,
    student: str,
    policy: Policy | None = None,
    progress: StudentProgress = lambda *_: None,
    executor: Executor | None = None,
) -> Appeal:
    """Judge what a student submitted once more.

    Raises:
        UsageError: there is no such assignment or submission.
        CannotGrade: the submission was never graded, changed since, or cannot be judged now.
    """
    course.require(assignment)
    if student not in course.students(assignment):
        raise UsageError(f"No folder submitted/{shown(student)}/{assignment}.")
    (standing,) = read_class(course, assignment).of([student]).students
    if not standing.bundle.readable:
        raise CannotGrade(standing.problem)
    if standing.result is None:
        said = standing.problem if standing.grader_failed else ""
        raise CannotGrade(
            f"What {shown(student)} has submitted now was never graded, so there is nothing to compare with. {said} "
            f"Run: autograder grade {assignment} --student {shlex.quote(student)}"
        )
    job = Job(standing.bundle, policy or Policy())
    with judging_for(course, assignment, executor) as judging:
        tell = lambda share, what: progress(student, share, what)  # noqa: E731
        raw, key = judging.replay(job, tell), judging.key(job)
        found = Appeal(standing, job, parse_result(raw, key), standing.result.key == key, raw)
        if found.breaks_the_promise:
            found = replace(found, varies=tuple(until_it_varies(found.new, lambda: judging.replayed(job, tell))))
    return found


def record(course: Course, found: Appeal, executor: Executor | None = None) -> ClassRecord:
    """Put the new outcome on record, into the ledger and the gradebook; the record of the class with it in.

    Raises:
        CannotGrade: the outcome contradicts the one on record, or an exercise could not be judged.
    """
    if found.varies:
        raise CannotGrade(f"{VARIES.format(checks='; '.join(found.varies))} So nothing was recorded.")
    if found.breaks_the_promise or found.new.grader_failed:
        raise CannotGrade("The new outcome is not to be trusted, so it was not recorded.")
    assignment = found.job.bundle.assignment
    with judging_for(course, assignment, executor) as judging:
        judging.record(found.job, found.raw)
        return grading.grade(course, assignment, students=[found.student], policy=found.job.policy)


def _checks(result: Result) -> dict[tuple[str, str], CheckResult]:
    return {(name, check.name): check for name, found in result.exercises.items() for check in found.checks}


def _outcome(check: CheckResult | None) -> tuple[str, float] | None:
    return (check.status, check.score) if check else None


def _json(check: CheckResult | None) -> dict[str, Any] | None:
    return {"status": check.status, "score": check.score, "max": check.max, "message": check.message} if check else None
