"""What is on record, as files that other systems take: Canvas' gradebook CSV and Gradescope's results.json.

Nothing is judged here, and nothing added up: all comes from the record.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.controller.course import Course
from autograder.controller.names import file_name, listed, shown
from autograder.controller.record import ClassRecord, Mark, Record, read_class
from autograder.wire.errors import CannotGrade
from autograder.wire.files import write_durably
from autograder.wire.gradescope import row
from autograder.wire.text import number

CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
FORMULA_STARTS = ("=", "+", "-", "@")


def exportable(course: Course, assignment: str) -> ClassRecord:
    """The record of the class, if it can be exported.

    Raises:
        UsageError: there is no such assignment.
        CannotGrade: nobody has a score yet, or students were graded by checks that give other points.
    """
    found = read_class(course, assignment)
    if all(one.score is None for one in found.students):
        raise CannotGrade(f"Nobody has a score in {assignment} yet. Run: autograder grade {assignment}")
    if found.mixes_maxima:
        raise CannotGrade(f"Nothing was exported: no one maximum holds for all. {' '.join(found.warnings)}")
    return found


def canvas_csv(title: str, found: ClassRecord, canvas_id: int | None = None) -> str:
    """The text of a CSV file for Canvas' gradebook import.

    The format is that of Canvas' own export (Canvas Instructor Guide, "How do I import grades in the Gradebook?";
    instructure/canvas-lms, lib/gradebook_importer.rb and lib/gradebook_exporter.rb): five columns about the student, of
    which Canvas looks for the first that it knows among ID, SIS User ID, SIS Login ID and the name; a column for the
    assignment, "Title (id)"; and a row "    Points Possible" before the students. An empty cell is no grade; who is in
    the roster and handed nothing in has one.

    Canvas has one maximum for a column. Where less could be graded for one student than for others, such as a timing
    that stayed disturbed, the points are scaled to it, so that the share stays what it is.

    Cells that a spreadsheet would take for a formula get an apostrophe in front (OWASP, "CSV Injection").

    Args:
        canvas_id: the number at the end of the assignment's address in Canvas; without it Canvas goes by the title.
    """
    possible = points_possible(found)
    heading = f"{title} ({canvas_id})" if canvas_id is not None else title
    rows = [[*CANVAS_COLUMNS, heading], ["    Points Possible", "", "", "", "", number(possible)]]
    for one in found.students:
        points = "" if one.score is None else number(one.share * possible)
        rows.append([one.entry.name or one.student, one.entry.lms_id, "", one.student, "", points])
    rows += [[person.name or student, person.lms_id, "", student, "", ""] for student, person in found.missing.items()]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def points_possible(found: ClassRecord) -> float:
    """The one maximum that Canvas has for an assignment: that of the student for whom most could be graded."""
    return max(one.max or 0.0 for one in found.students)


def canvas_remarks(found: ClassRecord) -> list[str]:
    """What a teacher has to know about the rows of the CSV file."""
    no_id = [one.student for one in found.students if not one.entry.lms_id]
    no_id += [student for student, person in found.missing.items() if not person.lms_id]
    possible = points_possible(found)
    scaled = [
        f"{shown(one.student)} (of {number(one.max)})" for one in found.students if one.max and one.max != possible
    ]
    said = []
    if no_id:
        said.append(
            f"{len(no_id)} without an ID ({listed(no_id)}): Canvas goes by the login, which must then be the name of "
            "the folder in submitted/. The chapter for instructors says how to import IDs."
        )
    if scaled:
        said.append(f"Scaled to {number(possible)} points, since less could be graded: {listed(scaled)}")
    if found.missing:
        said.append(f"In the roster and without a submission, so left empty: {listed(list(found.missing))}")
    return said


def gradescope_results(task: Mapping[str, Any], one: Record) -> dict[str, Any]:
    """The content of Gradescope's results.json for one student.

    The format is Gradescope's (https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format). Checks of
    the notebook are visible at once, those that give points when the grades are published. What could not be graded
    has neither a score nor a max_score.
    """
    assert one.score is not None
    tests: list[dict[str, Any]] = []
    for place, exercise in enumerate(task["exercise"], 1):
        name = exercise["id"]
        mark, found = one.marks.get(name), one.exercises.get(name)
        counts = (mark is None or mark.by_hand is None) and found is not None and found.status == "graded"
        rows = [
            row(
                exercise["title"], check.title, status=check.status, score=check.score, most=check.max,
                message=check.message, counts=counts,
            )
            for check in (found.checks if found else ())
        ]  # fmt: skip
        comment = one.entry.comments.get(name, "")
        if mark is not None and not counts:
            rows.append(_by_hand(exercise["title"], mark, comment))
        elif comment:
            rows.append(_comment(exercise["title"], comment))
        tests += [{"number": f"{place}.{at}", **test} for at, test in enumerate(rows, 1)]
    return {
        "score": one.score,
        "execution_time": one.result.seconds if one.result else 0,
        "output": "\n".join(filter(None, (*one.bundle.notes, one.lateness.capitalize()))),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"max_score": one.max},
    }


def write_canvas(course: Course, assignment: str, found: ClassRecord, out: Path, canvas_id: int | None) -> None:
    """Write the CSV file; line ends as RFC 4180 has them."""
    text = canvas_csv(course.task(assignment)["title"], found, canvas_id)
    write_durably(out, text)


def write_gradescope(course: Course, assignment: str, found: ClassRecord, out: Path) -> None:
    """Write `<out>/<student>/results.json` for everybody with a score; an earlier one of anybody else is removed."""
    task = course.task(assignment)
    scored = {out / file_name(one.student) / "results.json": one for one in found.students if one.score is not None}
    for path, one in scored.items():
        write_durably(path, json.dumps(gradescope_results(task, one), indent=1) + "\n")
    for old in set(out.glob("*/results.json")) - scored.keys():
        old.unlink()


def _by_hand(exercise: str, mark: Mark, comment: str) -> dict[str, Any]:
    """The row of an exercise in which a person gave points, or has to."""
    outdated = "This mark was given for an earlier version." if mark.is_outdated else ""
    return {
        "name": f"{exercise}: {'no mark by a person yet' if mark.waits else 'marked by a person'}",
        "output": "\n".join(filter(None, (comment, mark.origin, outdated))), "visibility": "after_published",
        "score": mark.points, "max_score": mark.max, "output_format": "text", "name_format": "text",
    }  # fmt: skip


def _comment(exercise: str, comment: str) -> dict[str, Any]:
    """The row of an exercise in which a person wrote something and left the points as they are."""
    return {
        "name": f"{exercise}: comment by a person", "output": comment, "visibility": "after_published",
        "output_format": "text", "name_format": "text",
    }  # fmt: skip


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, in whatever width. Canvas' own indented row stays as it is."""
    text = shown(cell)
    begins = unicodedata.normalize("NFKC", text).lstrip(" '\"").startswith(FORMULA_STARTS)
    return f"'{text}" if begins else text
