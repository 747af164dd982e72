"""Hints come one after the other, and a reset gives back one cell and touches no other, on a clone and in the zip."""

import copy
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.controller.course import Course
from autograder.controller.release import secret_lines, solution_text
from autograder.controller.student_zip import build_zip
from autograder.student.commands import main, next_hint, reset
from autograder.wire.errors import UsageError
from autograder.wire.files import write_durably
from tests.autograder.toy import ROOT, TASK, TOY, Toy, link_repository

REPOSITORY = Course(ROOT)
ADD = "def add(a, b):\n    return a - b"
DOUBLE = "def double(a):\n    return 2 * a"


@pytest.fixture
def hinted(toy: Toy) -> Toy:
    text = TASK.replace('provides = ["add"]', 'provides = ["add"]\nhints = ["Think.", "Think harder."]')
    write_durably(toy.course.tasks(TOY) / "task.toml", text)
    return toy


def own(toy: Toy, tmp_path: Path, name: str = f"{TOY}.ipynb", **cells: str) -> Path:
    """A student's notebook with work in it."""
    path = tmp_path / "home" / name
    write_durably(path, json.dumps(toy.notebook(**cells)))
    return path


def cells(path: Path) -> dict[str, dict]:
    found = json.loads(path.read_text())["cells"]
    return {cell["metadata"].get("nbgrader", {}).get("grade_id", str(n)): cell for n, cell in enumerate(found)}


def test_hints_come_one_after_the_other_and_then_the_last_again(hinted: Toy, tmp_path: Path) -> None:
    path = own(hinted, tmp_path)
    given = [next_hint(path, "add", hinted.course.package) for _ in range(3)]
    assert [(hint.text, hint.number, hint.of) for hint in given] == [
        ("Think.", 1, 2),
        ("Think harder.", 2, 2),
        ("Think harder.", 2, 2),
    ]
    assert str(given[0]) == "Hint 1 of 2: Think."
    assert str(given[1]).endswith("It is the last one.")
    other = own(hinted, tmp_path, f"{TOY} (1).ipynb")
    assert next_hint(other, "add", hinted.course.package).number == 1


@pytest.mark.parametrize("memory", ["{", "[1]", '{"add": "x"}', "3"])
def test_a_broken_memory_of_hints_begins_again(hinted: Toy, tmp_path: Path, memory: str) -> None:
    path = own(hinted, tmp_path)
    path.with_name(f".{TOY}.hints.json").write_text(memory)
    assert next_hint(path, "add", hinted.course.package).number == 1


def test_what_does_not_exist_is_named(hinted: Toy, tmp_path: Path) -> None:
    path = own(hinted, tmp_path)
    for exercise, said in (("nothing", "Known: add, double"), ("double", "no hints")):
        with pytest.raises(UsageError, match=said):
            next_hint(path, exercise, hinted.course.package)
    with pytest.raises(UsageError, match="no file"):
        next_hint(tmp_path / "none.ipynb", "add", hinted.course.package)
    write_durably(hinted.course.tasks("a91_other") / "task.toml", TASK)
    with pytest.raises(UsageError, match=f"called like no assignment. Known: {TOY}, a91_other"):
        reset(own(hinted, tmp_path, "homework.ipynb"), "add", hinted.course.package)
    assert next_hint(path, "add", hinted.course.package).number == 1


def test_reset_gives_back_one_cell_and_keeps_the_rest_and_a_backup(toy: Toy, tmp_path: Path) -> None:
    path = own(toy, tmp_path, add=ADD, double=DOUBLE)
    text, before = path.read_bytes(), cells(path)
    backup = reset(path, "add", toy.course.package)
    assert backup.read_bytes() == text
    after = cells(path)
    assert "YOUR CODE HERE" in "".join(after["add"]["source"])
    assert {name: cell for name, cell in after.items() if name != "add"} == {
        name: cell for name, cell in before.items() if name != "add"
    }
    again = reset(path, "double", toy.course.package)
    assert again != backup
    assert backup.read_bytes() == text
    assert cells(path) == cells(toy.course.student_notebook(TOY))


def test_reset_takes_the_cell_that_is_graded_and_brings_a_deleted_one_back(toy: Toy, tmp_path: Path) -> None:
    path = own(toy, tmp_path, add=ADD)
    document = json.loads(path.read_text())
    place = next(n for n, cell in enumerate(document["cells"]) if cell["source"] == ADD)
    copied = copy.deepcopy(document)
    copied["cells"].append(copied["cells"][place])
    path.write_text(json.dumps(copied))
    reset(path, "add", toy.course.package)
    sources = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
    assert sources[place] == ADD
    assert "YOUR CODE HERE" in sources[-1]
    del document["cells"][place]
    path.write_text(json.dumps(document))
    reset(path, "add", toy.course.package)
    assert list(cells(path)) == list(cells(toy.course.student_notebook(TOY)))


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 3}'])
def test_what_is_no_notebook_is_left_alone(toy: Toy, tmp_path: Path, text: str) -> None:
    path = own(toy, tmp_path)
    path.write_text(text)
    with pytest.raises(UsageError, match="is not a notebook"):
        reset(path, "add", toy.course.package)
    assert path.read_text() == text
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_commands_do_the_same(hinted: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hinted.course.root)
    path = own(hinted, tmp_path, add=ADD)
    run = CliRunner().invoke
    assert run(app, ["hint", str(path), "add"]).stdout == "Hint 1 of 2: Think.\n"
    assert json.loads(run(app, ["hint", str(path), "add", "--json"]).stdout)["number"] == 2
    assert f"{TOY}.backup-1.ipynb" in run(app, ["reset", str(path), "add"]).stdout
    assert "YOUR CODE HERE" in path.read_text()
    failed = run(app, ["reset", str(path), "zzz"])
    assert (failed.exit_code, "Known: add, double" in failed.stderr) == (2, True)
    assert main(["hint", str(path), "zzz"]) == 2


@pytest.mark.parametrize("assignment", REPOSITORY.assignments())
def test_every_exercise_has_hints_without_a_line_of_its_solution(assignment: str) -> None:
    solution = secret_lines(solution_text(REPOSITORY, assignment))
    for exercise in REPOSITORY.task(assignment)["exercise"]:
        hints = exercise.get("hints", [])
        assert len(hints) >= 2, exercise["id"]
        assert len(set(hints)) == len(hints)
        assert not [line for line in solution for hint in hints if line in hint]
        assert not [hint for hint in hints if "return " in hint or "torch." in hint]


@pytest.mark.slow
def test_the_zip_gives_hints_and_fresh_cells_with_python_alone(tmp_path: Path) -> None:
    course, assignment = link_repository(tmp_path), "a02_speculative_decoding"
    with zipfile.ZipFile(build_zip(course, assignment)) as archive:
        archive.extractall(tmp_path / "student")
    folder = tmp_path / "student" / assignment
    path = folder / f"{assignment}.ipynb"
    original = path.read_text()
    path.write_text(original.replace("def accept(", "def refuse("))

    def run(command: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-S", "-E", "-m", "autograder", command, path.name, "accept"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert run("hint").startswith("Hint 1 of 3: ")
    assert run("hint").startswith("Hint 2 of 3: ")
    assert "is as it was released" in run("reset")
    assert json.loads(path.read_text()) == json.loads(original)
