"""What nbgrader's gradebook says of each student: automatic points, marks and comments by a person, lateness.

A penalty for lateness depends on the due date and on marks that may have changed since it was written down. So it is
worked out anew, by nbgrader's own step and plugin, each time that the gradebook is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autograder.controller import gradebook
from autograder.controller.course import Course
from autograder.wire.errors import CannotGrade

TEST_SUFFIX = "_test"


@dataclass(frozen=True)
class HandMark:
    """Points that a person gave in an exercise, in the place of the automatic ones or on top of them.

    Args:
        points: what counts, extra credit included.
        of: the cell's maximum.
        extra: how much of `points` is extra credit.
        replaces: whether the automatic points count no more.
        is_outdated: it was given for other code or another maximum, so nbgrader asks for another look.
    """

    points: float
    of: float
    extra: float = 0.0
    replaces: bool = True
    is_outdated: bool = False


@dataclass(frozen=True)
class Entry:
    """One student's row in nbgrader's gradebook.

    Args:
        automatic: exercise -> the automatic points, None where there are none.
        maxima: exercise -> what its graded cell is worth.
        comments: exercise -> what a person wrote.
        penalty: points that lateness costs.
    """

    name: str = ""
    lms_id: str = ""
    automatic: Mapping[str, float | None] = field(default_factory=dict)
    maxima: Mapping[str, float] = field(default_factory=dict)
    by_hand: Mapping[str, HandMark] = field(default_factory=dict)
    comments: Mapping[str, str] = field(default_factory=dict)
    penalty: float = 0.0
    late_s: float = 0.0


@dataclass(frozen=True)
class Person:
    """Somebody in nbgrader's list of students."""

    name: str
    lms_id: str


def read_entries(course: Course, assignment: str) -> dict[str, Entry]:
    """student -> entry, for everybody with a submission in the gradebook; penalties are brought up to date first.

    Raises:
        CannotGrade: the gradebook cannot be used, or the course's plugin for late submissions fails.
    """
    penalty_of = _late_penalties(course)
    with gradebook.opened(course.db_url) as book:
        submissions = book.assignment_submissions(assignment)
        for one in submissions:
            for notebook in one.notebooks:
                if _can_be_late(one):  # else the penalty, if there is one, was given by hand
                    notebook.late_submission_penalty = penalty_of(one, notebook)
        book.db.commit()
        return {one.student.id: _entry(one) for one in submissions}


def roster(course: Course) -> dict[str, Person]:
    """Everybody in nbgrader's list of students, but those of the sample class."""
    samples = {path.stem for path in (course.package / "sample_class").glob("*/*.py")}
    with gradebook.opened(course.db_url) as book:
        return {one.id: Person(_name(one), one.lms_user_id or "") for one in book.students if one.id not in samples}


def _late_penalties(course: Course) -> Any:
    """The function (submission, notebook) -> penalty that nbgrader's step applies under the course's settings."""
    from nbgrader.preprocessors import AssignLatePenalties

    step = AssignLatePenalties(config=gradebook.nbgrader_settings(course))
    step.log.disabled = True
    step.init_plugin()
    plugin: Any = step.plugin_inst

    def penalty(submission: Any, notebook: Any) -> float | None:
        late_s = submission.total_seconds_late
        if not late_s:
            return None
        try:
            found = plugin.late_submission_penalty(submission.student.id, notebook.score, late_s)
            return None if found is None else float(step._check_late_penalty(notebook, found))
        except Exception as error:
            where = f"{type(plugin).__name__}, set in {course.root / 'nbgrader_config.py'}"
            raise CannotGrade(
                f"The plugin for late submissions ({where}) fails for {submission.student.id!r}: "
                f"{type(error).__name__}: {error}"
            ) from error

    return penalty


def _can_be_late(submission: Any) -> bool:
    """Whether both times are known; nbgrader itself fails on an extension without a due date."""
    return submission.timestamp is not None and submission.assignment.duedate is not None


def _entry(one: Any) -> Entry:
    grades = [grade for notebook in one.notebooks for grade in notebook.grades]
    comments = [comment for notebook in one.notebooks for comment in notebook.comments]
    return Entry(
        name=_name(one.student),
        lms_id=one.student.lms_user_id or "",
        automatic={_exercise(grade): grade.auto_score for grade in grades},
        maxima={_exercise(grade): float(grade.max_score) for grade in grades},
        by_hand={
            _exercise(grade): HandMark(
                points=float(grade.score), of=float(grade.max_score), extra=float(grade.extra_credit or 0.0),
                replaces=grade.manual_score is not None,
                is_outdated=bool(grade.needs_manual_grade) and grade.manual_score is not None,
            )
            for grade in grades
            if grade.manual_score is not None or grade.extra_credit
        },
        comments={_exercise(said): said.manual_comment for said in comments if (said.manual_comment or "").strip()},
        penalty=sum(float(notebook.late_submission_penalty or 0.0) for notebook in one.notebooks),
        late_s=float(one.total_seconds_late) if _can_be_late(one) else 0.0,
    )  # fmt: skip


def _exercise(of_cell: Any) -> str:
    return str(of_cell.cell.name).removesuffix(TEST_SUFFIX)


def _name(student: Any) -> str:
    return ", ".join(filter(None, (student.last_name, student.first_name)))
