"""`autograder new` writes an assignment that grades at once: solution full, stub 0, the wrong answer caught."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.assurance.answers import solution_cells
from autograder.assurance.mutants import kill_matrix, read_mutants
from autograder.cells.released import ReleasedNotebook
from autograder.checks import Draws, LocalCall, load_task, run_check
from autograder.cli import app
from autograder.controller.course import Course
from autograder.judge import sandbox
from tests.autograder.toy import ROOT

NEW = "a05_absmax_and_lora"
WANTED = ["new", NEW, "--exercise", "absmax", "--exercise", "lora_layer"]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    """This repository's autograder in a course of its own that has no assignments yet."""
    for name in ("nbgrader_config.py", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "lib").symlink_to(ROOT / "lib")
    shutil.copytree(ROOT / "book" / "_data", tmp_path / "book" / "_data")
    (tmp_path / "autograder" / "tasks").mkdir(parents=True)
    for path in (ROOT / "autograder").iterdir():
        if path.name != "tasks":
            (tmp_path / "autograder" / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return Course(tmp_path)


def run(*arguments: str, ok: int = 0) -> str:
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == ok, ended.output
    return ended.output


def failed(course: Course, exercise: str, cell: str) -> set[str]:
    """The checks that a cell fails, in process."""
    task, names = load_task(course.tasks(NEW)), {}
    exec(task.setup, names)
    exec(cell, names)
    call = LocalCall(names)
    return {one.name for one in task.checks[exercise] if not run_check(one, call, Draws(b"key", one.name)).passed}


def test_a_new_assignment_grades_at_once(course: Course) -> None:
    run(*WANTED)
    task, solutions = load_task(course.tasks(NEW)), solution_cells(course, NEW)
    stubs = ReleasedNotebook.load(course.student_notebook(NEW)).stubs
    assert list(solutions) == list(stubs) == ["absmax", "lora_layer"]
    for exercise, checks in task.checks.items():
        assert sum(one.points > 0 for one in checks) == 3
        assert failed(course, exercise, solutions[exercise]) == set()
        assert failed(course, exercise, stubs[exercise]) == {one.name for one in checks}
        (wrong,) = read_mutants(course, NEW, exercise)
        caught = failed(course, exercise, wrong.cells[exercise])
        assert caught == {*wrong.listed("kills"), *wrong.listed("visible")} != set()


def test_its_rows_stand_in_the_books_tables_and_its_chapter_is_the_one_that_plans_it(course: Course) -> None:
    before = (ROOT / "book" / "_data" / "slides.toml").read_text()
    written = json.loads(run(*WANTED, "--json"))["written"]
    assert all((course.root / name).is_file() for name in written)
    assert load_task(course.tasks(NEW)).chapter == "book/ch05_quantization_and_lora"
    slides = (course.root / "book" / "_data" / "slides.toml").read_text()
    assert slides.startswith(before.rstrip())
    added = slides.removeprefix(before.rstrip())
    for row in ('section = "ch05-absmax"', f'["{NEW}/absmax"]', 'section = "ch05-lora-layer"', f'["{NEW}/lora_layer"]'):
        assert row in added


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "a5_lora", "--exercise", "lora"], "not 'a5_lora'"),
        (["new", "a05_Lora", "--exercise", "lora"], "not 'a05_Lora'"),
        (["new", "a99_lora", "--exercise", "lora"], "has assignment = 'a99'"),
        (["new", NEW, "--exercise", "class"], "not 'class'"),
        (["new", NEW, "--exercise", "two words"], "not 'two words'"),
        (["new", NEW, "--exercise", "lora", "--exercise", "lora"], "once"),
    ],
)
def test_names_that_cannot_be_used_are_bad_usage_and_write_nothing(course: Course, arguments, said: str) -> None:
    assert said in run(*arguments, ok=2).replace("\n", " ")
    assert not (course.root / "solutions").exists()


def test_what_exists_is_not_written_over(course: Course) -> None:
    run(*WANTED)
    slides = course.root / "book" / "_data" / "slides.toml"
    before = slides.read_bytes()
    assert "exists already" in run(*WANTED, ok=2)
    assert slides.read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
def test_a_new_assignment_is_graded_by_the_judge(course: Course) -> None:
    run(*WANTED)
    found = kill_matrix(course, NEW).json()
    assert (found["solution"]["score"], found["solution"]["max"], found["stub"]["score"]) == (6, 6, 0)
    assert (found["mutants"], found["killed"], found["collateral"]) == (2, 2, [])
