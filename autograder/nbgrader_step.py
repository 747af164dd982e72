"""Our places in nbgrader's autograde step, named in `nbgrader_config.py`.

`SubmissionExporter` reads a submission, whatever is in it, as the released notebook with the student's solution cells
in it; so deleted, doubled or edited cells and broken metadata change nothing, and nothing of them reaches nbgrader.
`JudgeCells` stands where nbgrader would execute the notebook: it asks the judge. `SaveJudgedGrades` records that.
"""

import json
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, List, Unicode

from autograder import gradebook, release
from autograder.bundle import Bundle, ReleasedNotebook, bundle_of, cells_of, read_bundle
from autograder.course import CannotGrade, Course
from autograder.judging import Job, Policy, judging_for
from autograder.result import ExerciseResult, Result

TEST_SUFFIX = "_test"


class SubmissionExporter(NotebookExporter):
    """Reads what was submitted through our bundle, and everything else as nbgrader does."""

    registers = Bool(True, help="Whether to bring the gradebook's cells and points up to date first.").tag(config=True)

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config=config, **options)
        directory = getattr(self.parent, "coursedir", None)
        if directory is not None and self.registers:
            course = Course(Path(directory.root))
            if directory.assignment_id in course.assignments():
                source = release.solution_text(course, directory.assignment_id)
                gradebook.register(course, directory.assignment_id, source, directory.db_url)

    def from_filename(self, filename: str, resources: dict[str, Any] | None = None, **options: Any) -> tuple[Any, Any]:
        directory: Any = self.parent.coursedir  # type: ignore[union-attr]  (the Autograde converter)
        submitted = Path(directory.root, directory.submitted_directory)
        if resources is None or submitted not in Path(filename).parents:
            return super().from_filename(filename, resources, **options)
        course, assignment = Course(Path(directory.root)), resources["nbgrader"]["assignment"]
        released = ReleasedNotebook.load(course.student_notebook(assignment))
        bundle = read_bundle(Path(filename), assignment, released, submitted)
        resources["metadata"] = {"name": assignment, "path": str(Path(filename).parent)}
        return self.from_notebook_node(spliced(released, bundle), resources, **options)


class JudgeCells(NbGraderPreprocessor):
    """In the place of `Execute`: each graded cell's output becomes the judge's report and the score."""

    sandbox = Bool(True, help="Judge in the sandbox; False is the weaker mode, for machines without one.").tag(
        config=True
    )
    judge_command = List(Unicode(), help="The command that takes a job file and leaves a result file.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        gradebook.reset(about["db_url"], about["assignment"], about["student"])
        result = self._result(nb, about["assignment"])
        maxima = _maxima(about["assignment"], result) if result else {}
        gradebook.set_maxima(about["db_url"], about["assignment"], maxima)
        scores: dict[str, float | None] = {}
        for cell in nb.cells:
            if utils.is_grade(cell):
                name = cell.metadata.nbgrader["grade_id"]
                found = result.graded.get(name.removesuffix(TEST_SUFFIX)) if result else None
                cell.metadata.nbgrader["points"] = maxima.get(name, cell.metadata.nbgrader["points"])
                scores[name] = found.score if found else None
                cell.outputs = _outputs(cell, found) if found else []
        resources["judged_scores"] = scores
        return nb, resources

    def _result(self, nb: NotebookNode, assignment: str) -> Result | None:
        """The result for this notebook; None where the submission could not be read."""
        if not nb.metadata.get("submission", {}).get("readable", True):
            return None
        course = Course(Path.cwd())  # nbgrader works at the course's root
        released = ReleasedNotebook.load(course.student_notebook(assignment))
        bundle = bundle_of(cells_of(nb), assignment, released)
        command = tuple(self.judge_command) or Policy().judge_command
        with judging_for(course, assignment) as judging:
            return judging.result(Job(bundle, Policy(sandbox=self.sandbox, judge_command=command)))


class SaveJudgedGrades(SaveAutoGrades):
    """nbgrader's own recording, except for cells that could not be graded: they are left to a person, never given 0.

    A cell that is worth nothing here, for want of a GPU, needs nobody.
    """

    def _add_score(self, cell: NotebookNode, resources: Any) -> None:
        name = cell.metadata.nbgrader["grade_id"]
        if resources["judged_scores"].get(name) is not None:
            super()._add_score(cell, resources)
            return
        grade: Any = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        grade.auto_score, grade.needs_manual_grade = None, grade.manual_score is None and grade.max_score > 0
        self.gradebook.db.commit()


def spliced(released: ReleasedNotebook, bundle: Bundle) -> NotebookNode:
    """The released notebook with the bundle's sources in its solution cells."""
    nb = nbformat.reads(json.dumps(released.document), as_version=4)
    for cell in nb.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in bundle.cells:
            cell.source = bundle.cells[name] or ""
    nb.metadata["submission"] = {"readable": bundle.readable, "notes": list(bundle.notes)}
    return nb


def _maxima(assignment: str, result: Result) -> dict[str, float]:
    """The points of each graded cell as released; 0 where this machine lacks the device that the exercise needs."""
    released = ReleasedNotebook.load(Course(Path.cwd()).student_notebook(assignment)).document["cells"]
    marks = [cell["metadata"].get("nbgrader", {}) for cell in released]
    points = {mark["grade_id"]: float(mark["points"]) for mark in marks if mark.get("grade")}
    not_here = {f"{name}{TEST_SUFFIX}" for name, exercise in result.exercises.items() if exercise.not_here}
    return {**points, **dict.fromkeys(not_here & points.keys(), 0.0)}


def _outputs(cell: NotebookNode, found: ExerciseResult) -> list[NotebookNode]:
    """The report for a person's eyes, then the one `execute_result` that nbgrader reads the score from."""
    points = float(cell.metadata.nbgrader["points"])
    if found.score > points:
        name = cell.metadata.nbgrader["grade_id"]
        raise CannotGrade(f"The judge gave {found.score} points in {name}, which is worth {points}.")
    lines = [f"{check.status}: {check.title} {check.message}".rstrip() for check in found.checks]
    report = nbformat.v4.new_output("stream", name="stdout", text="\n".join(lines) + "\n")
    score = nbformat.v4.new_output("execute_result", {"text/plain": repr(found.score)}, execution_count=None)
    return [report, score]
