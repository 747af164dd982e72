"""What tests of the record do in a toy course: submit, mark by hand as in formgrader, run commands."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from nbgrader.api import Gradebook
from typer.testing import CliRunner

from autograder.cli import app
from autograder.wire.files import write_durably
from tests.autograder.toy import TOY, Toy

WRONG = "def add(a, b):\n    return a - b"
ZERO_WHEN_LATE = """
c.LateSubmissionPlugin.penalty_method = "zero"
c.SubmissionExporter.believes_timestamps = True
"""
DUE = datetime(2026, 3, 1)
TWO_DAYS = "Late by 2 days: −5 points"
LATE = "2026-03-03 00:00:00 UTC"
Points = tuple[float, float] | None


class Situation(NamedTuple):
    """What a student submits, what happens then, and what the record is."""

    cells: dict[str, str] | str
    expected: Points
    by_hand: dict[str, float] = {}  # noqa: RUF012
    extra: dict[str, float] = {}  # noqa: RUF012
    comments: dict[str, str] = {}  # noqa: RUF012
    late: bool = False
    then: dict[str, str] | None = None  # submitted and graded after the marks
    last: dict[str, str] | None = None  # submitted and not graded
    name: str = TOY
    said: tuple[str, ...] = ()  # on the student's page


def opened(toy: Toy) -> Any:
    """nbgrader's gradebook, as an instructor's script opens it."""
    return Gradebook(toy.course.db_url)


def give(toy: Toy, student: str, situation: Situation) -> None:
    """Marks and comments as a person enters them in formgrader."""
    with opened(toy) as book:
        for column, given in (("manual_score", situation.by_hand), ("extra_credit", situation.extra)):
            for exercise, points in given.items():
                grade = book.find_grade(f"{exercise}_test", TOY, TOY, student)
                setattr(grade, column, points)
                grade.needs_manual_grade = False
        for exercise, text in situation.comments.items():
            comment = book.find_comment(exercise, TOY, TOY, student)
            comment.manual_comment = text
        book.db.commit()


def submit(toy: Toy, student: str, cells: dict[str, str] | str, name: str = TOY) -> None:
    content = cells if isinstance(cells, str) else json.dumps(toy.notebook(**cells))
    write_durably(toy.course.submission(student, TOY).with_name(f"{name}.ipynb"), content)


def run(*arguments: str, columns: int = 200, ok: tuple[int, ...] = (0, 3)) -> Any:
    found = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)})
    assert found.exit_code in ok, found.output
    return found
