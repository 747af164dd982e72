"""Grade an assignment: submissions -> bundles -> judge runs -> nbgrader's gradebook -> the record.

The controller never runs a student's code. It alone writes the ledger, and through nbgrader the gradebook.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from autograder.cells.bundle import Bundle
from autograder.cells.released import ReleasedNotebook, marked_cells
from autograder.controller import gradebook, release
from autograder.controller.course import Course, alone
from autograder.controller.executor import Executor
from autograder.controller.judge_runs import Job, Judging, Policy, judging_for
from autograder.controller.record import ClassRecord, read_class
from autograder.controller.submissions import notebook_in
from autograder.controller.submitted_notebook import read_submission
from autograder.wire.errors import CannotGrade

StudentProgress = Callable[[str, float, str], object]


def grade(
    course: Course,
    assignment: str,
    *,
    students: Iterable[str] | None = None,
    policy: Policy | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    regrade: bool = False,
    progress: StudentProgress = lambda *_: None,
) -> ClassRecord:
    """Grade every submission (or those of `students`), record the scores in nbgrader's gradebook, and read the record.

    What comes back is the record of the whole class, whoever was graded now.

    Args:
        workers: judge runs at a time; by default what the executor takes.
        executor: where they run; by default on this machine.
        regrade: judge again also what the ledger knows; each old outcome stands until the new one is there.
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
    with alone(course), judging_for(course, assignment, executor) as judging:
        failures = _judge_class(judging, bundles, policy, workers, regrade, progress)
        gradebook.register(course, assignment, source)
        settings = gradebook.nbgrader_settings(course)
        settings.SubmissionExporter.registers = False
        settings.JudgeCells.sandbox = policy.sandbox
        settings.JudgeCells.judge_command = list(policy.judge_command)
        for student, bundle in bundles.items():
            _record(judging, student, bundle, failures.get(student, ""), settings)
            progress(student, 1.0, "in the gradebook")
        return read_class(course, assignment)


def _judge_class(
    judging: Judging,
    bundles: dict[str, Bundle],
    policy: Policy,
    workers: int | None,
    regrade: bool,
    progress: StudentProgress,
) -> dict[str, str]:
    """Judge each bundle that can be read, equal ones once; student -> why the grader failed, where it did."""
    readable = {student: Job(bundle, policy) for student, bundle in bundles.items() if bundle.readable}
    names = list(readable)
    found = judging.results(
        readable.values(), workers=workers, again=regrade,
        progress=lambda index, share, what: progress(names[index], share, what),
    )  # fmt: skip
    return {name: str(one) for name, one in zip(names, found, strict=True) if isinstance(one, CannotGrade)}


def _record(judging: Judging, student: str, bundle: Bundle, failure: str, settings: Any) -> None:
    """Let nbgrader take the scores over. A failure here is this student's alone, and leaves no old score behind."""
    course, assignment = judging.course, judging.assignment
    try:
        if not failure and notebook_in(course.submission(student, assignment).parent, assignment).exists():
            settings.SubmissionExporter.bundle = bundle
            return gradebook.autograde(course, assignment, student, settings)
    except (CannotGrade, OSError, ValueError) as error:
        failure = str(error)
    with suppress(CannotGrade):  # a gradebook that cannot be used at all is told when the record is read
        gradebook.reset(course.db_url, assignment, student, judging.changed_cells(student, bundle))
    judging.note_graded(student, bundle, None, failure)
