"""Gradescope's autograder zip: what is in it, and a submission graded in a root like the container's, offline."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from autograder.assurance.answers import AnswerFile, answered_notebook, solution_cells
from autograder.cells.released import ReleasedNotebook
from autograder.controller.gradescope_zip import build_gradescope_zip
from autograder.judge import sandbox
from tests.autograder.toy import link_repository

ASSIGNMENT = "a01_decoding_and_its_cost"
pytestmark = pytest.mark.slow

THIEF = """
import os
for path in ("/autograder/results/results.json", "/autograder/source/grading.json"):
    try:
        open(path, "a").write("99")
    except OSError:
        pass
if any(os.path.exists(f"/autograder/{name}") for name in ("source", "submission", "results")):
    raise RuntimeError("the grader's own files can be seen")
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/autograder as Gradescope lays it out, before a submission is there."""
    root = tmp_path_factory.mktemp("course")
    path = build_gradescope_zip(link_repository(root), ASSIGNMENT)
    place = tmp_path_factory.mktemp("autograder")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place / "source")
    for name in ("setup.sh", "run_autograder"):
        assert subprocess.run(["bash", "-n", place / "source" / name]).returncode == 0
    return place


def answered(root: Path) -> dict[str, Any]:
    """A notebook whose first exercise is right, and looks for the grader's own files; the others are as released."""
    root.mkdir()
    course = link_repository(root)
    released, solutions = ReleasedNotebook.load(course.student_notebook(ASSIGNMENT)), solution_cells(course, ASSIGNMENT)
    first, *_ = released.exercises
    answer = AnswerFile("test", "", {"base": "stub"}, {first: f"{solutions[first]}\n{THIEF}"}, (), ())
    return answered_notebook(answer, released, solutions)


def run_in_container(unpacked: Path, submission: Path) -> dict[str, Any]:
    """`run_autograder` in a root that has a system, the Python that setup.sh would install, and no network."""
    place = submission.parent
    results = place / "results"
    results.mkdir()
    here = Path(sys.executable).parents[1]
    command = ["bwrap", "--unshare-net", "--unshare-ipc", "--die-with-parent", "--clearenv",
               "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "OMP_NUM_THREADS", "1"]  # fmt: skip
    for folder in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"):
        command += ["--ro-bind-try", folder, folder]
    for python in {here, Path(sys.base_prefix)}:
        command += ["--ro-bind", str(python), str(python)]
    command += ["--bind", "/proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # a /proc of which nothing is masked
    command += ["--ro-bind", str(unpacked / "source"), "/autograder/source"]
    command += ["--ro-bind", str(submission), "/autograder/submission", "--bind", str(results), "/autograder/results"]
    command += ["--symlink", str(here), "/autograder/python"]
    done = subprocess.run([*command, "bash", "/autograder/source/run_autograder"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((results / "results.json").read_text())
    assert "The grader failed" not in found["output"], done.stdout
    return found


def test_the_zip_holds_judge_and_checks_and_nothing_of_the_controller(unpacked: Path) -> None:
    files = {str(path.relative_to(unpacked / "source")) for path in (unpacked / "source").rglob("*")}
    assert {"setup.sh", "run_autograder", "grading.json", "autograder/judge/judge.py"} <= files
    assert any(name.startswith(f"autograder/tasks/{ASSIGNMENT}/checks/") for name in files)
    assert not any("mutants" in name or "controller" in name or "solutions" in name for name in files)
    about = json.loads((unpacked / "source" / "grading.json").read_text())
    assert len(about["secret"]) == 64
    pins = (unpacked / "source" / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("torch==") for line in pins)
    assert not any("nbgrader" in line or line.startswith("./") for line in pins)


@pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
def test_a_submission_is_graded_in_a_container_without_a_network(unpacked: Path, tmp_path: Path) -> None:
    submission = tmp_path / "submission"
    submission.mkdir()
    document = answered(tmp_path / "course")
    (submission / "my work.ipynb").write_text(json.dumps(document))
    found = run_in_container(unpacked, submission)
    rows = [test for test in found["tests"] if test["number"].startswith("1.")]
    assert found["score"] == sum(test.get("score", 0) for test in found["tests"])
    assert 0 < found["score"] < 99, [row["output"] for row in rows]
    assert {row["status"] for row in rows if "status" in row} == {"passed"}
    assert {row["visibility"] for row in rows} == {"visible", "after_published"}
    assert all(row["visibility"] == "after_published" for row in rows if row.get("max_score"))
    shutil.rmtree(tmp_path / "results")
    (submission / "other.ipynb").write_text(json.dumps(document))
    refused = run_in_container(unpacked, submission)
    assert refused["score"] == 0
    assert "There are 2 notebooks" in refused["output"]
