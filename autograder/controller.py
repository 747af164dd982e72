"""Grade an assignment: submissions -> bundles -> judge runs -> nbgrader's gradebook -> a report.

The controller never runs a student's code. It alone writes the ledger, and through nbgrader the gradebook.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from autograder import gradebook, release
from autograder.bundle import Bundle, ReleasedNotebook, marked_cells, read_submission
from autograder.course import CannotGrade, Course, alone
from autograder.judging import Job, Judging, Policy, judging_for
from autograder.result import Result

Progress = Callable[[str, float, str], object]


@dataclass(frozen=True)
class Graded:
    """One student's outcome: a result, or the reason why there is none.

    `grader_failed` tells a failure of ours from a submission in which there was nothing to grade.
    """

    student: str
    bundle: Bundle
    result: Result | None
    problem: str = ""
    grader_failed: bool = False


@dataclass(frozen=True)
class Report:
    """The outcome for a class."""

    assignment: str
    students: tuple[Graded, ...]

    @property
    def grader_failed(self) -> bool:
        """Whether the grader itself failed somewhere: on a submission, or in one exercise of one."""
        return any(one.grader_failed or (one.result and one.result.grader_failed) for one in self.students)

    def json(self) -> dict[str, Any]:
        """The object of `autograder grade --json`. A student without a score has null, never 0.

        `graded` counts the students with a score, `invalid` those of them with a timing too disturbed to count,
        `not_graded` those without a score.
        """
        results = {one.student: one.result for one in self.students}
        return {
            "assignment": self.assignment,
            "submissions": len(results),
            "graded": sum(result is not None for result in results.values()),
            "invalid": sum(result is not None and result.is_disturbed for result in results.values()),
            "not_graded": sum(result is None for result in results.values()),
            "scores": {
                student: {"score": result.score if result else None, "max": result.max if result else None}
                for student, result in results.items()
            },
        }


def grade(
    course: Course,
    assignment: str,
    *,
    students: Iterable[str] | None = None,
    policy: Policy | None = None,
    workers: int | None = None,
    regrade: bool = False,
    progress: Progress = lambda *_: None,
) -> Report:
    """Grade every submission (or those of `students`) and record the scores in nbgrader's gradebook.

    Args:
        workers: judge runs at a time; by default half the cores, since a judge and its worker share the load.
        regrade: judge again also what the ledger knows.
        progress: called with a student, the share of the judging that is done, and what was done last.

    Raises:
        UsageError: there is no such assignment.
        CannotGrade: nothing could be graded at all; a failure on one submission is in the report instead.
    """
    course.require(assignment)
    policy = policy or Policy()
    released = ReleasedNotebook.load(course.student_notebook(assignment))
    chosen = list(students) if students is not None else course.students(assignment)
    bundles = {one: read_submission(course, one, assignment, released) for one in chosen}
    source = release.solution_text(course, assignment)
    if marked_cells(source) != {*released.stubs, *released.locked}:
        raise CannotGrade(f"The student notebook is older than its master. Run: autograder release {assignment}")
    with alone(course), judging_for(course, assignment) as judging:
        outcomes = _judge_class(judging, bundles, policy, workers, regrade, progress)
        gradebook.register(course, assignment, source)
        settings = gradebook.nbgrader_settings(course)
        settings.SubmissionExporter.registers = False
        settings.JudgeCells.sandbox = policy.sandbox
        settings.JudgeCells.judge_command = list(policy.judge_command)
        recorded = []
        for outcome in outcomes:
            recorded.append(_record(course, assignment, outcome, settings))
            progress(outcome.student, 1.0, "in the gradebook")
    return Report(assignment, tuple(recorded))


def _judge_class(
    judging: Judging, bundles: dict[str, Bundle], policy: Policy, workers: int | None, regrade: bool, progress: Progress
) -> list[Graded]:
    """Judge each bundle that can be read; equal bundles meet in the ledger and are judged once."""
    readable = {student: Job(bundle, policy) for student, bundle in bundles.items() if bundle.readable}
    names = list(readable)
    if regrade:
        for job in readable.values():
            judging.forget(job)
    found = judging.results(
        readable.values(), workers=workers, progress=lambda index, share, what: progress(names[index], share, what)
    )
    results = dict(zip(names, found, strict=True))
    return [_outcome(student, bundle, results.get(student)) for student, bundle in bundles.items()]


def _outcome(student: str, bundle: Bundle, found: Result | CannotGrade | None) -> Graded:
    if found is None:
        return Graded(student, bundle, None, bundle.notes[0])
    if isinstance(found, CannotGrade):
        return Graded(student, bundle, None, str(found), grader_failed=True)
    if found.grader_failed and not found.graded:
        said = next(exercise.failure for exercise in found.exercises.values() if exercise.grader_failed)
        return Graded(student, bundle, None, f"It failed in every exercise: {said}", True)
    return Graded(student, bundle, found)


def _record(course: Course, assignment: str, outcome: Graded, settings: Any) -> Graded:
    """Let nbgrader take the scores over. A failure here is this student's alone, and leaves no old score behind."""
    try:
        if outcome.grader_failed or not course.submission(outcome.student, assignment).exists():
            gradebook.reset(course.db_url, assignment, outcome.student)
            return outcome
        gradebook.autograde(course, assignment, outcome.student, settings)
    except CannotGrade as error:
        return Graded(outcome.student, outcome.bundle, None, str(error), grader_failed=True)
    return outcome
