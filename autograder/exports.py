"""What is on record, as files that other systems take: Canvas' gradebook CSV and Gradescope's results.json.

Nothing is judged here. Marks that a person gave in nbgrader's formgrader count in the place of ours, as they do there.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder import gradebook
from autograder.bundle import ReleasedNotebook, read_submission
from autograder.course import CannotGrade, Course, write_durably
from autograder.judging import Job, Policy, judging_for
from autograder.pages import number
from autograder.result import CheckResult, Result

CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Outcome:
    """One student: the result on record, if there is one, and what nbgrader knows besides.

    Args:
        by_hand: exercise -> (points, of) where a person gave the mark.
    """

    student: str
    result: Result | None
    notes: tuple[str, ...] = ()
    name: str = ""
    lms_id: str = ""
    by_hand: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    penalty: float = 0.0

    @property
    def marks(self) -> dict[str, tuple[float, float]]:
        """exercise -> (points, of), for each that has any: what could not be graded is in neither number."""
        graded = self.result.graded if self.result else {}
        return {**{name: (one.score, one.max) for name, one in graded.items()}, **self.by_hand}

    @property
    def score(self) -> float | None:
        """Points less a penalty for lateness; None, never 0, where nothing was graded."""
        return max(0.0, sum(points for points, _ in self.marks.values()) - self.penalty) if self.marks else None

    @property
    def max(self) -> float:
        return sum(best for _, best in self.marks.values())


def outcomes(course: Course, assignment: str, policy: Policy | None = None) -> list[Outcome]:
    """What is on record for everybody who handed something in.

    Raises:
        UsageError: there is no such assignment.
        CannotGrade: nobody has a score yet.
    """
    course.require(assignment)
    released = ReleasedNotebook.load(course.student_notebook(assignment))
    people = gradebook.people(course, assignment)
    found = []
    with judging_for(course, assignment) as judging:
        for student in course.students(assignment):
            bundle = read_submission(course, student, assignment, released)
            result = judging.recorded(Job(bundle, policy or Policy())) if bundle.readable else None
            found.append(Outcome(student, result, bundle.notes, **people.get(student, {})))
    if all(one.score is None for one in found):
        raise CannotGrade(f"Nobody has a score in {assignment} yet. Run: autograder grade {assignment}")
    return found


def canvas_csv(title: str, found: list[Outcome], canvas_id: int | None = None) -> str:
    """The text of a CSV file for Canvas' gradebook import.

    The format is that of Canvas' own export (Canvas Instructor Guide, "How do I import grades in the Gradebook?";
    instructure/canvas-lms, lib/gradebook_importer.rb and lib/gradebook_exporter.rb): five columns about the student, of
    which Canvas looks for the first that it knows among ID, SIS User ID, SIS Login ID and the name; a column for the
    assignment, "Title (id)"; and a row "    Points Possible" before the students. An empty cell is no grade.

    Canvas has one maximum for a column. Where less could be graded for one student than for others, such as a timing
    that stayed disturbed, the points are scaled to it, so that the share stays what it is.

    Cells that a spreadsheet would take for a formula get an apostrophe in front (OWASP, "CSV Injection").

    Args:
        canvas_id: the number at the end of the assignment's address in Canvas; without it Canvas goes by the title.
    """
    possible = max(one.max for one in found)
    heading = f"{title} ({canvas_id})" if canvas_id is not None else title
    rows = [[*CANVAS_COLUMNS, heading], ["    Points Possible", "", "", "", "", number(possible)]]
    for one in found:
        points = "" if one.score is None or not one.max else number(one.score * possible / one.max)
        rows.append([one.name or one.student, one.lms_id, "", one.student, "", points])
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def gradescope_results(task: Mapping[str, Any], one: Outcome) -> dict[str, Any]:
    """The content of Gradescope's results.json for one student.

    The format is Gradescope's (https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format). Checks of
    the notebook are visible at once, those that give points when the grades are published. What could not be graded
    has neither a score nor a max_score.
    """
    assert one.score is not None
    tests: list[dict[str, Any]] = []
    for place, exercise in enumerate(task["exercise"], 1):
        name, by_hand = exercise["id"], one.by_hand.get(exercise["id"])
        found = one.result.exercises.get(name) if one.result else None
        counts = by_hand is None and found is not None and found.status == "graded"
        listed = [_test(exercise["title"], check, counts) for check in (found.checks if found else ())]
        if by_hand is not None:
            points, best = by_hand
            about = {"name": f"{exercise['title']}: marked by a person", "output": "", "visibility": "after_published"}
            listed.append({**about, "score": points, "max_score": best, "output_format": "text", "name_format": "text"})
        tests += [{"number": f"{place}.{row}", **test} for row, test in enumerate(listed, 1)]
    return {
        "score": one.score,
        "execution_time": one.result.seconds if one.result else 0,
        "output": "\n".join(one.notes),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"max_score": one.max},
    }


def write_canvas(course: Course, assignment: str, found: list[Outcome], out: Path, canvas_id: int | None) -> None:
    """Write the CSV file; line ends as RFC 4180 has them."""
    text = canvas_csv(course.task(assignment)["title"], found, canvas_id)
    write_durably(out, text)


def write_gradescope(course: Course, assignment: str, found: list[Outcome], out: Path) -> None:
    """Write `<out>/<student>/results.json` for everybody with a score."""
    task = course.task(assignment)
    for one in found:
        if one.score is not None:
            write_durably(
                out / one.student / "results.json", json.dumps(gradescope_results(task, one), indent=1) + "\n"
            )


def _test(exercise: str, check: CheckResult, counts: bool) -> dict[str, Any]:
    visibility = "after_published" if check.max or check.status in ("not_graded", "invalid") else "visible"
    about = {"name": f"{exercise}: {check.title}", "name_format": "text", "output": check.message,
             "output_format": "text", "visibility": visibility}  # fmt: skip
    if check.status in ("not_graded", "invalid"):
        return {**about, "output": f"Not graded: this costs no points. {check.message}".strip()}
    passed = check.status == "passed" and check.score == check.max
    points = {"score": check.score, "max_score": check.max} if counts else {}
    return {**about, **points, "status": "passed" if passed else "failed"}


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula. The indented row name of Canvas' own stays as it is."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
