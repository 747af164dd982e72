"""The sample class: a few students with known scores, so that a fresh clone has something to grade.

Each is an answer file `sample_class/<assignment>/<student>.py` whose docstring tells the story and what it must score:
`keeps:` the exercises that get their points (`all`, the default, `none` or a list), every other one 0; `loses:` the
checks of those exercises whose points are lost all the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.assurance.answers import (
    AnswerFile,
    AnswerFileError,
    answered_notebook,
    read_answer_file,
    solution_cells,
)
from autograder.cells.notebook_file import Unreadable, read_notebook
from autograder.cells.released import ReleasedNotebook
from autograder.controller.course import Course
from autograder.wire.errors import UsageError
from autograder.wire.files import write_durably

MARK = "sample_class"  # in the notebook's metadata: a file with it is ours to rewrite


def sample_students(course: Course, assignment: str) -> list[AnswerFile]:
    """The sample class of an assignment, by student."""
    return [read_answer_file(path) for path in sorted(course.sample_class(assignment).glob("*.py"))]


def expected_points(student: AnswerFile, points: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What a sample student must score in each exercise.

    Args:
        points: exercise -> check -> what it is worth.

    Raises:
        AnswerFileError: `keeps` or `loses` names something that the assignment does not have.
    """
    keeps, loses = student.listed("keeps") or ("all",), student.listed("loses")
    kept = set(points) if keeps == ("all",) else set() if keeps == ("none",) else set(keeps)
    known = {name for checks in points.values() for name in checks}
    for name in [*sorted(kept - set(points)), *sorted(set(loses) - known)]:
        raise AnswerFileError(f"{student.name}: {name!r} is no exercise or check of this assignment")
    return {
        exercise: sum(worth for name, worth in checks.items() if name not in loses) if exercise in kept else 0.0
        for exercise, checks in points.items()
    }


def write_sample_class(course: Course, assignment: str, force: bool = False) -> list[str]:
    """Submit the sample students' notebooks; those that were written, by student.

    A class with real students is left alone unless `force` is given, and a notebook of theirs is never touched.

    Raises:
        UsageError: the assignment is unknown or has no sample class.
    """
    course.require(assignment)
    students = sample_students(course, assignment)
    if not students:
        raise UsageError(f"{assignment} has no sample class ({course.sample_class(assignment)}/*.py)")
    theirs = [one for one in course.students(assignment) if not _is_ours(course.submission(one, assignment))]
    if theirs and not force:
        return []
    released = ReleasedNotebook.load(course.student_notebook(assignment))
    solutions = solution_cells(course, assignment)
    written = []
    for student in students:
        path = course.submission(student.name, assignment)
        text = _notebook_text(answered_notebook(student, released, solutions))
        if student.name in theirs or (path.is_file() and path.read_bytes() == text.encode()):
            continue
        write_durably(path, text)
        written.append(student.name)
    return written


def _notebook_text(document: dict[str, Any]) -> str:
    marked = {**document, "metadata": {**document["metadata"], MARK: True}}
    return json.dumps(marked, indent=1, ensure_ascii=False) + "\n"


def _is_ours(path: Path) -> bool:
    try:
        return read_notebook(path)["metadata"][MARK] is True
    except (Unreadable, KeyError, TypeError):
        return False
