"""From the master of an assignment to what students get: the notebook, and the zip to hand out.

Everything is a function of the master alone, byte for byte, so that a committed notebook can be checked.
"""

import ast
import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autograder.checks.task_files import HIDDEN, TASK, files_of
from autograder.controller import gradebook
from autograder.controller.course import Course
from autograder.wire.errors import AutograderError
from autograder.wire.files import text_of, write_durably
from autograder.wire.text import number

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
REGION = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)### END (?:SOLUTION|HIDDEN TESTS)", re.S)
PROSE_POINTS = re.compile(r"(\d+(?:\.\d+)?) points?, \d+ minutes")
MIN_SECRET_LINE = 12  # characters: "return 0" gives nothing away
SECRET_MARKS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")


class ReleaseError(AutograderError):
    """The master cannot be released as it is."""


@dataclass(frozen=True)
class Released:
    """What `release` did: the notebook's path and the lines that differ from the one that was there."""

    notebook: Path
    changes: tuple[str, ...]


def release(course: Course, assignment: str, check_only: bool = False) -> Released:
    """Generate the student notebook (and the solution notebook beside its master).

    Args:
        check_only: write nothing and only tell what would change.

    Raises:
        UsageError: there is no such assignment.
        ReleaseError: the master breaks the contract of an assignment, its solution would show, or the judge cannot load
            the task.
    """
    course.require(assignment)
    check_task(course, assignment)
    solution = solution_text(course, assignment)
    student = gradebook.generate_student_notebook(course, assignment, solution)
    _refuse_leaks(assignment, solution, student)
    path = course.student_notebook(assignment)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if not check_only:
        _write_if_changed(course.solution_notebook(assignment), solution)
        _write_if_changed(path, student)
    return Released(path, tuple(_changes(before, student)))


def solution_text(course: Course, assignment: str) -> str:
    """The solution notebook as text: the master's cells with stable ids and no trace of when or where it was made."""
    import jupytext
    import nbformat

    master = course.master(assignment)
    try:
        notebook = jupytext.reads(text_of(master), fmt="md:myst")
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{master} is not a MyST notebook: {error}") from None
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for place, cell in enumerate(notebook.cells):
        cell.id = re.sub(r"[^A-Za-z0-9_-]", "-", cell.metadata.get("nbgrader", {}).get("grade_id", f"cell-{place:03d}"))
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    _check_contract(course, assignment, notebook.cells)
    return nbformat.writes(notebook) + "\n"


def _check_contract(course: Course, assignment: str, cells: list) -> None:
    """Each exercise of the task has its solution cell and its graded cell, with the points that its checks give."""
    marks = [cell.metadata["nbgrader"] for cell in cells if "nbgrader" in cell.metadata]
    names = [mark["grade_id"] for mark in marks]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ReleaseError(f"{assignment}: grade_id used twice: {', '.join(doubled)}")
    solutions = {mark["grade_id"] for mark in marks if mark.get("solution")}
    points = {mark["grade_id"]: float(mark["points"]) for mark in marks if mark.get("grade")}
    checks, master = course.tasks(assignment) / HIDDEN, course.master(assignment)
    worth = points_of_checks(files_of(course.tasks(assignment), HIDDEN))
    wanted = {exercise["id"]: worth.get(exercise["id"], 0.0) for exercise in course.task(assignment)["exercise"]}
    if solutions != set(wanted) or set(points) != {f"{name}_test" for name in wanted}:
        raise ReleaseError(
            f"{assignment}: task.toml has the exercises {sorted(wanted)}, the master the solution cells "
            f"{sorted(solutions)} and the graded cells {sorted(points)} (each named <exercise>_test)"
        )
    for name, expected in wanted.items():
        said = points[f"{name}_test"]
        if said != expected:
            where = f"{checks} and {master}"
            raise ReleaseError(f"{where}: the checks of {name!r} give {expected} points, its graded cell {said}")
        told = _points_in_prose(cells, name)
        if told is not None and told != expected:
            raise ReleaseError(f"{master}: the text above {name!r} says {told} points, its checks give {expected}")


def _points_in_prose(cells: list, exercise: str) -> float | None:
    """What the text above an exercise says it is worth, as in "*6 points, 35 minutes.*"; None where it says nothing."""
    told = None
    for cell in cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("grade_id") == exercise:
            return told
        if cell.cell_type == "markdown":
            found = PROSE_POINTS.findall(cell.source)
            told = float(found[-1]) if found else told
        elif mark.get("solution"):
            told = None
    return None


def check_task(course: Course, assignment: str) -> None:
    """Load the task as the judge does.

    Raises:
        ReleaseError: the judge could grade nobody.
        UsageError: task.toml is no text.
    """
    from autograder.checks import load_task

    folder = course.tasks(assignment)
    if (folder / TASK).is_file():
        text_of(folder / TASK)
    try:
        task = load_task(folder)
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{assignment} cannot be graded, so it is not released: {error}") from error
    for name, written in points_of_checks(files_of(folder, HIDDEN)).items():
        found = sum(one.points for one in task.checks.get(name, ()))
        if found != written:
            raise ReleaseError(
                f"{folder / HIDDEN / name}.py: the checks of {name!r} are written with {number(written)} points and "
                f"give {number(found)}: is a function defined twice?"
            )


def points_of_checks(files: Iterable[Path]) -> dict[str, float]:
    """The points that the checks of each exercise give together, read from the decorators without running them."""
    points: dict[str, float] = {}
    for path, call in ((file, call) for file in files for call in _calls_of_decorators(file)):
        if ast.unparse(call.func) not in ("check", "speed_check"):
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        try:
            exercise, worth = ast.literal_eval(call.args[0]), float(ast.literal_eval(given["points"]))
        except (ValueError, KeyError, IndexError, TypeError):
            raise ReleaseError(f'{path}:{call.lineno}: write @check("exercise", points=<number>)') from None
        points[exercise] = points.get(exercise, 0.0) + worth
    return points


def _calls_of_decorators(path: Path) -> list[ast.Call]:
    marks = [mark for one in ast.parse(path.read_bytes()).body for mark in getattr(one, "decorator_list", [])]
    return [mark for mark in marks if isinstance(mark, ast.Call)]


def _refuse_leaks(assignment: str, solution: str, student: str) -> None:
    """No mark of a region, and no line that only a solution or hidden region has, may be in the student notebook."""
    shown = {line.strip() for text in _sources(student) for line in text.split("\n")}
    for mark in SECRET_MARKS:
        if any(mark in line for line in shown):
            raise ReleaseError(f"{assignment}: {mark!r} is still in the student notebook")
    leaked = sorted(secret_lines(solution) & shown)
    if leaked:
        raise ReleaseError(f"{assignment}: a line of a solution is in the student notebook: {leaked[0]!r}")


def secret_lines(solution: str) -> set[str]:
    """The lines that stand only in the solution and hidden regions of a solution notebook, short ones left out."""
    inside: set[str] = set()
    outside: set[str] = set()
    for text in _sources(solution):
        parts = REGION.split(text)
        outside |= {line.strip() for part in parts[::2] for line in part.split("\n")}
        inside |= {line.strip() for part in parts[1::2] for line in part.split("\n")}
    return {line for line in inside - outside if len(line) >= MIN_SECRET_LINE}


def _sources(notebook: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(notebook)["cells"]]


def _changes(before: str, after: str) -> list[str]:
    return [
        line
        for line in difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=0)
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    ]


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_durably(path, text)
