"""An appeal: one submission judged once more from its run key, and what came out set beside what is on record.

The inputs derive from the course's secret and the submission, so the same judge must find the same correctness; only a
timing may differ. Nothing is changed unless `record` is called.
"""

from dataclasses import dataclass
from typing import Any

from autograder import controller, feedback
from autograder.bundle import ReleasedNotebook, read_submission
from autograder.controller import Progress
from autograder.course import CannotGrade, Course, UsageError
from autograder.judging import Job, Policy, judging_for
from autograder.result import CheckResult, Result, parse_result


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
        """A measurement, which may come out differently: everything else may not."""
        return any(check is not None and bool(check.details) for check in (self.old, self.new))

    @property
    def differs(self) -> bool:
        return _outcome(self.old) != _outcome(self.new)


@dataclass(frozen=True)
class Appeal:
    """Both outcomes of one submission.

    Args:
        same_judge: judge, library, versions and device are those that the outcome on record came from.
        raw: the new outcome as the judge left it.
    """

    student: str
    job: Job
    old: Result
    new: Result
    same_judge: bool
    raw: dict[str, Any]

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
        """The same judge found another correctness from the same inputs: this grader is not to be trusted."""
        return self.same_judge and not self.same_correctness

    def json(self, recorded: bool) -> dict[str, Any]:
        """The object of `autograder appeal --json`."""
        return {
            "student": self.student,
            "assignment": self.job.bundle.assignment,
            "bundle": self.job.bundle.sha256,
            "same_judge": self.same_judge,
            "same_correctness": self.same_correctness,
            "recorded": recorded,
            "old": {"score": self.old.score, "max": self.old.max},
            "new": {"score": self.new.score, "max": self.new.max},
            "checks": [
                {"exercise": pair.exercise, "name": pair.either.name, "title": pair.either.title,
                 "timed": pair.is_timed, "differs": pair.differs, "old": _json(pair.old), "new": _json(pair.new)}
                for pair in self.pairs
            ],
        }  # fmt: skip


def appeal(
    course: Course, assignment: str, student: str, policy: Policy | None = None, progress: Progress = lambda *_: None
) -> Appeal:
    """Judge what a student handed in once more.

    Raises:
        UsageError: there is no such assignment or submission.
        CannotGrade: the submission was never graded, changed since, or cannot be judged now.
    """
    course.require(assignment)
    if student not in course.students(assignment):
        raise UsageError(f"No folder submitted/{student}/{assignment}.")
    released = ReleasedNotebook.load(course.student_notebook(assignment))
    bundle = read_submission(course, student, assignment, released)
    if not bundle.readable:
        raise CannotGrade(bundle.notes[0])
    job = Job(bundle, policy or Policy())
    with judging_for(course, assignment) as judging:
        old = judging.recorded(job)
        if old is None:
            raise CannotGrade(
                f"What {student} has handed in now was never graded, so there is nothing to compare with. "
                f"Run: autograder grade {assignment} --student {student}"
            )
        raw = judging.replay(job, lambda share, what: progress(student, share, what))
        key = judging.key(job)
    return Appeal(student, job, old, parse_result(raw, key).settled(), old.key == key, raw)


def record(course: Course, found: Appeal) -> None:
    """Put the new outcome on record: into the ledger, the gradebook and the student's page.

    Raises:
        CannotGrade: the outcome contradicts the one on record, or an exercise could not be judged.
    """
    if found.breaks_the_promise or found.new.grader_failed:
        raise CannotGrade("The new outcome is not to be trusted, so it was not recorded.")
    assignment = found.job.bundle.assignment
    with judging_for(course, assignment) as judging:
        judging.record(found.job, found.raw)
        report = controller.grade(course, assignment, students=[found.student], policy=found.job.policy)
    feedback.write_feedback(course, report, whole_class=False)


def _checks(result: Result) -> dict[tuple[str, str], CheckResult]:
    return {(name, check.name): check for name, found in result.exercises.items() for check in found.checks}


def _outcome(check: CheckResult | None) -> tuple[str, float] | None:
    return (check.status, check.score) if check else None


def _json(check: CheckResult | None) -> dict[str, Any] | None:
    return {"status": check.status, "score": check.score, "max": check.max, "message": check.message} if check else None
