"""Our places in nbgrader's autograde step, named in `nbgrader_config.py`.

`SubmissionExporter` reads a submission, whatever is in it, as the released notebook with the student's solution cells
in it; so deleted, doubled or edited cells and broken metadata change nothing, and nothing of them reaches nbgrader.
`JudgeCells` stands where nbgrader would execute the notebook: it asks the judge. `SaveJudgedGrades` records that.

A submission is parsed once. `grade` hands its bundle to the exporter, which parses only where nbgrader was started by
itself; and the bundle travels in the metadata of the notebook that nbgrader writes between its two passes.
"""

import json
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, Instance, List, Unicode

from autograder.cells.bundle import Bundle
from autograder.cells.released import ReleasedNotebook
from autograder.controller import gradebook, release
from autograder.controller.course import Course
from autograder.controller.entries import TEST_SUFFIX
from autograder.controller.judge_runs import Job, Policy, judging_for
from autograder.controller.result import ExerciseResult, Result
from autograder.controller.submissions import notebook_in
from autograder.controller.submitted_notebook import read_submitted
from autograder.wire.errors import CannotGrade


class SubmissionExporter(NotebookExporter):
    """Reads what was submitted through our bundle, and everything else as nbgrader does."""

    registers = Bool(True, help="Whether to bring the gradebook's cells and points up to date first.").tag(config=True)
    bundle: Any = Instance(Bundle, allow_none=True, help="What was submitted, where `grade` has read it.").tag(
        config=True
    )
    believes_timestamps = Bool(
        False, help="Whether timestamp.txt in a submission comes from your collecting it, so that no student writes it."
    ).tag(config=True)

    def __init__(self, config: Any = None, **options: Any) -> None:
        super().__init__(config=config, **options)
        directory = getattr(self.parent, "coursedir", None)
        if directory is not None and not self.believes_timestamps:  # else lateness would be the student's to choose
            directory.get_existing_timestamp = lambda path: None
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
        path = notebook_in(Path(filename).parent, assignment)
        bundle: Any = self.bundle or read_submitted(path, assignment, released, submitted)
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
        course, bundle = Course(Path.cwd()), bundle_in(nb)  # nbgrader works at the course's root
        with judging_for(course, about["assignment"]) as judging:
            changed = judging.changed_cells(about["student"], bundle)
            gradebook.reset(about["db_url"], about["assignment"], about["student"], changed)
            result = judging.result(Job(bundle, self._policy())) if bundle.readable else None
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
        resources["judged_scores"], resources["judged"] = scores, (bundle, result.key if result else None)
        return nb, resources

    def _policy(self) -> Policy:
        command = tuple(self.judge_command) or Policy().judge_command
        return Policy(sandbox=self.sandbox, judge_command=command)


class SaveJudgedGrades(SaveAutoGrades):
    """nbgrader's own recording, except for cells that could not be graded: they are left to a person, never given 0.

    A cell that is worth nothing here, for want of a GPU, needs nobody. nbgrader would ask for another look at every
    mark by hand each time; it is wanted only where the code has changed, which was noted when the scores were reset.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        found = super().preprocess(nb, resources)
        about = resources["nbgrader"]
        with judging_for(Course(Path.cwd()), about["assignment"]) as judging:
            judging.note_graded(about["student"], *resources["judged"])
        return found

    def _add_score(self, cell: NotebookNode, resources: Any) -> None:
        name = cell.metadata.nbgrader["grade_id"]
        grade: Any = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        waits = grade.needs_manual_grade
        if resources["judged_scores"].get(name) is not None:
            super()._add_score(cell, resources)
        else:
            grade.auto_score, grade.needs_manual_grade = None, grade.max_score > 0
        if grade.manual_score is not None:
            grade.needs_manual_grade = waits
        self.gradebook.db.commit()


def bundle_in(nb: NotebookNode) -> Bundle:
    """The bundle that `spliced` put into a notebook: the very one, so the ledger knows its result."""
    about = nb.metadata["submission"]
    return Bundle(about["assignment"], dict(about["cells"]), tuple(about["notes"]), about["readable"])


def spliced(released: ReleasedNotebook, bundle: Bundle) -> NotebookNode:
    """The released notebook with the bundle's sources in its solution cells."""
    nb = nbformat.reads(json.dumps(released.document), as_version=4)
    for cell in nb.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in bundle.cells:
            cell.source = bundle.cells[name] or ""
    about = {"assignment": bundle.assignment, "cells": dict(bundle.cells), "notes": list(bundle.notes)}
    nb.metadata["submission"] = {**about, "readable": bundle.readable}
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
