"""The student notebook follows from the master alone, and nothing of a solution is in it or in the zip."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.assurance.answers import solution_cells
from autograder.controller.course import Course
from autograder.controller.release import ReleaseError, points_of_checks, release, secret_lines, solution_text
from autograder.controller.student_zip import build_zip
from autograder.wire.errors import UsageError
from autograder.wire.files import write_durably
from tests.autograder.toy import CHECKS, MASTER, ROOT, TOY, Toy, link_repository, make_toy_course

PYPROJECT = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "nimblelm"
version = "0.1.0"
dependencies = ["torch"]

[tool.setuptools.packages.find]
where = ["lib"]
"""


def test_student_notebook_has_no_solution_and_no_hidden_test(toy: Toy) -> None:
    text = toy.course.student_notebook(TOY).read_text()
    assert "canary" not in text
    assert "HIDDEN" not in text
    assert "SOLUTION" not in text
    assert text.count("YOUR CODE HERE") == 2
    assert "canary-solution-add" in toy.course.solution_notebook(TOY).read_text()


def test_releasing_twice_gives_the_same_bytes_everywhere(toy: Toy, tmp_path: Path) -> None:
    first = toy.course.student_notebook(TOY).read_bytes()
    assert release(toy.course, TOY).changes == ()
    elsewhere = make_toy_course(tmp_path / "elsewhere")
    release(elsewhere, TOY)
    assert elsewhere.student_notebook(TOY).read_bytes() == first


def test_nbgrader_itself_generates_the_same_notebook(toy: Toy) -> None:
    path = toy.course.student_notebook(TOY)
    ours = path.read_bytes()
    path.unlink()
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", TOY, "--force"]
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=toy.course.root, env=environment, check=True, capture_output=True)
    assert path.read_bytes() == ours
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_check_only_tells_what_would_change_and_writes_nothing(toy: Toy) -> None:
    before = toy.course.student_notebook(TOY).read_bytes()
    write_durably(toy.course.master(TOY), MASTER.replace("Add two numbers.", "Add them."))
    changes = release(toy.course, TOY, check_only=True).changes
    assert [line[0] for line in changes] == ["-", "+"]
    assert "Add them." in changes[1]
    assert toy.course.student_notebook(TOY).read_bytes() == before


def test_files_beside_notebooks_are_neither_copied_nor_deleted(toy: Toy) -> None:
    hand_written = toy.course.student_notebook(TOY).with_name("notes.txt")
    hand_written.write_text("mine")
    (toy.course.master(TOY).parent / "secret.txt").write_text("canary")
    write_durably(toy.course.master(TOY), MASTER.replace("Add two numbers.", "Add them."))
    release(toy.course, TOY)
    assert hand_written.read_text() == "mine"
    assert not hand_written.with_name("secret.txt").exists()


def test_gradebook_is_not_touched(tmp_path: Path) -> None:
    course = make_toy_course(tmp_path)
    release(course, TOY)
    assert not (course.root / "gradebook.db").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("points: 3", "points: 4"), "the checks of 'double' give 3.0 points, its graded cell 4.0"),
        (("grade_id: double,", "grade_id: triple,"), "the solution cells"),
        (("grade_id: double_test", "grade_id: double_tests"), "the graded cells"),
        (("grade_id: double,", "grade_id: add,"), "used twice: add"),
        (("    ### END SOLUTION\n", ""), "could not generate"),
    ],
)
def test_a_master_that_breaks_the_contract_is_not_released(toy: Toy, change: tuple[str, str], said: str) -> None:
    write_durably(toy.course.master(TOY), MASTER.replace(*change))
    with pytest.raises(Exception, match=said) as caught:
        release(toy.course, TOY)
    assert type(caught.value).__module__.startswith("autograder")


def test_unknown_assignment_names_the_known(toy: Toy) -> None:
    with pytest.raises(UsageError, match=f"'a91'.*{TOY}"):
        release(toy.course, "a91")


def test_points_are_read_without_running_the_checks(tmp_path: Path) -> None:
    path, other = tmp_path / "add.py", tmp_path / "double.py"
    path.write_text(CHECKS["add"] + "raise SystemExit('must not run')\n")
    other.write_text(CHECKS["double"])
    assert points_of_checks([path, other]) == {"add": 2.0, "double": 3.0}
    path.write_text('@check("add", points=N)\ndef f(call, rng): ...\n')
    with pytest.raises(ReleaseError, match="points=<number>"):
        points_of_checks([path])


def _with_library(toy: Toy) -> None:
    write_durably(toy.course.root / "pyproject.toml", PYPROJECT)
    write_durably(toy.course.root / "lib" / "nimblelm" / "__init__.py", '"""A library."""\n')
    write_durably(toy.course.root / "requirements.txt", "torch==2.11.0\njupyterlab==4.6.6  # notebooks\nnumpy==2.3.5\n")


@pytest.mark.slow
def test_zip_can_be_completed_in_an_empty_place(toy: Toy, tmp_path: Path) -> None:
    _with_library(toy)
    path = build_zip(toy.course, TOY)
    place = tmp_path / "student"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        contents = b"".join(archive.read(name) for name in names)
        archive.extractall(place)
    assert not [name for name in names if re.search(r"tasks/\w+/checks|oracles|mutant|judge|ledger", name)]
    assert b"canary" not in contents
    folder = place / TOY
    assert {"README.md", "requirements.txt", f"{TOY}.ipynb", "nimblelm-0.1.0-py3-none-any.whl"} <= set(
        os.listdir(folder)
    )
    assert (folder / "requirements.txt").read_text() == (
        "jupyterlab==4.6.6\nmatplotlib\ntorch==2.11.0\n./nimblelm-0.1.0-py3-none-any.whl\n"
    )
    wheel = str(folder / "nimblelm-0.1.0-py3-none-any.whl")
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), wheel]
    subprocess.run(pip, check=True, capture_output=True)
    printed = _run_completed(folder, target)
    assert "✓ One and two make three." in printed
    assert "✗ Twice four is eight.\n    Not written yet" in printed


@pytest.mark.slow
@pytest.mark.parametrize("assignment", Course(ROOT).assignments())
def test_the_real_zip_can_be_completed_with_the_solution_and_does_not_hold_it(assignment: str, tmp_path: Path) -> None:
    course = link_repository(tmp_path)
    solution = solution_text(course, assignment)
    with zipfile.ZipFile(build_zip(course, assignment)) as archive:
        text = "".join(archive.read(name).decode() for name in archive.namelist() if not name.endswith(".whl"))
        archive.extractall(tmp_path / "student")
    assert not [line for line in secret_lines(solution) if line in text]
    sources = solution_cells(course, assignment)
    notebook = json.loads((tmp_path / "student" / assignment / f"{assignment}.ipynb").read_text())
    code = [
        sources.get(cell["metadata"].get("nbgrader", {}).get("grade_id"), "".join(cell["source"]))
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]
    folder = tmp_path / "student" / assignment
    (folder / "run.py").write_text("\n".join(code))
    ran = subprocess.run([sys.executable, "run.py"], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("✓") >= len(sources)
    assert "✗" not in ran.stdout


def _run_completed(folder: Path, target: Path) -> str:
    """Complete the first exercise, run all cells in a bare interpreter that sees only the zip's autograder."""
    notebook = json.loads((folder / f"{TOY}.ipynb").read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code = [
        source.replace("# YOUR CODE HERE\n    raise NotImplementedError()", "return a + b", 1)
        if "def add" in source
        else source
        for source in code
    ]
    proof = "import autograder, nimblelm; print(autograder.__file__, nimblelm.__file__)"
    (folder / "run.py").write_text("\n".join([*code, proof]))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}:{target}"}
    ran = subprocess.run([sys.executable, "run.py"], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert f"{folder}/autograder/__init__.py {target}/nimblelm/__init__.py" in ran.stdout
    return ran.stdout


@pytest.mark.slow
def test_zip_is_the_same_bytes_each_time(toy: Toy) -> None:
    _with_library(toy)
    assert build_zip(toy.course, TOY).read_bytes() == build_zip(toy.course, TOY).read_bytes()


def test_solution_notebook_is_named_by_its_grade_ids(toy: Toy) -> None:
    ids = [cell["id"] for cell in json.loads(solution_text(toy.course, TOY))["cells"]]
    assert ids == ["cell-000", "setup", "cell-002", "add", "add_test", "double", "double_test"]
