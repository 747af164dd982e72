"""A notebook with every solution in it passes all visible checks, each cell run alone, as a student's command does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.assurance.answers import AnswerFile, answered_notebook, solution_cells
from autograder.cells.released import ReleasedNotebook
from autograder.controller.course import Course

COURSE = Course(Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("assignment", COURSE.assignments())
def test_solutions_pass_when_each_cell_runs_alone(assignment: str, tmp_path: Path) -> None:
    released = ReleasedNotebook.load(COURSE.student_notebook(assignment))
    nobody = AnswerFile("solution", "", {}, {}, (), ())
    path = tmp_path / f"{assignment}.ipynb"
    path.write_text(json.dumps(answered_notebook(nobody, released, solution_cells(COURSE, assignment))))
    code = "import sys; from autograder.student.commands import main; sys.exit(main(['check', sys.argv[1]]))"
    ran = subprocess.run([sys.executable, "-c", code, str(path)], cwd=COURSE.root, capture_output=True, text=True)
    assert "✗" not in ran.stdout, ran.stdout
    assert "!" not in ran.stdout.split("\n\n")[0], ran.stdout
    assert ran.stdout.count("✓") >= len(released.exercises) - 1  # one may need a GPU
    assert ran.stderr == ""
