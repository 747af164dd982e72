"""The command line: one JSON object where asked, plain sentences otherwise, and exit statuses that scripts rely on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder import judging
from autograder.cli import app
from autograder.course import write_durably
from tests.autograder.toy import MASTER, ROOT, TOY, Toy

ADD = "def add(a, b):\n    return a + b"


@pytest.fixture
def run(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    """Runs the command line in the toy course with the fake judge."""
    monkeypatch.chdir(toy.course.root)
    monkeypatch.setattr(judging, "JUDGE_COMMAND", toy.policy.judge_command)

    def invoke(*arguments: str):
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})

    return invoke


def test_grade_prints_exactly_one_json_object(run, toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    found = run("grade", TOY, "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["scores"] == {"ann": {"score": 2.0, "max": 5.0}}
    assert found.stdout.count("\n") == 1


def test_grade_shows_a_table_and_the_pages(run, toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    found = run("grade", TOY)
    assert found.exit_code == 0
    assert "│ ann" in found.stdout
    assert f"_build/feedback/{TOY}/ann/index.html" in found.stdout
    assert (toy.course.root / f"_build/feedback/{TOY}/index.html").is_file()


@pytest.mark.parametrize("command", ["grade", "release", "mutants", "sample"])
def test_unknown_assignment_names_the_known_and_exits_2(run, command: str) -> None:
    found = run(command, "a91")
    assert found.exit_code == 2
    assert f"Unknown assignment 'a91'. Known: {TOY}." in found.stderr
    assert found.stdout == ""


def test_an_error_is_one_json_object_too(run) -> None:
    found = run("grade", "a91", "--json")
    assert found.exit_code == 2
    assert "Unknown assignment 'a91'" in json.loads(found.stdout)["error"]
    assert found.stderr == ""


def test_a_failing_judge_exits_3_and_is_named(run, toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=f"{ADD}  # JUDGE_DIES"))
    found = run("grade", TOY)
    assert found.exit_code == 3
    assert "the judge fell over" in found.stdout


def test_nothing_to_grade_exits_3_and_says_how_to_begin(run) -> None:
    found = run("grade", TOY)
    assert found.exit_code == 3
    assert f"autograder sample {TOY}" in found.stderr


def test_one_student_can_be_graded_alone(run, toy: Toy) -> None:
    for student in ("ann", "bob"):
        toy.submit(student, toy.notebook(add=f"{ADD}  # {student}"))
    found = run("grade", TOY, "--student", "bob", "--json")
    assert list(json.loads(found.stdout)["scores"]) == ["bob"]
    assert toy.judge_runs == 1
    assert run("grade", TOY, "--student", "nobody").exit_code == 2


def test_release_check_exits_1_where_the_notebook_is_out_of_date(run, toy: Toy) -> None:
    assert run("release", TOY, "--check").exit_code == 0
    write_durably(toy.course.master(TOY), MASTER.replace("Add two numbers.", "Add them."))
    assert run("release", "--all", "--check").exit_code == 1
    written = run("release", TOY)
    assert (written.exit_code, "2 lines differ" in written.stdout) == (0, True)
    assert run("release", "--all", "--check").exit_code == 0
    assert run("release").exit_code == 2


def test_check_tells_a_student_what_the_visible_checks_say(run, toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / f"{TOY} (1).ipynb"
    path.write_text(json.dumps(toy.notebook(add=ADD)))
    found = run("check", str(path))
    assert found.exit_code == 0
    assert "✓ It <b>works</b>" in found.stdout
    assert "✗ It <b>works</b>: look at the <sign>" in found.stdout
    as_json = json.loads(run("check", str(path), "--json").stdout)
    assert [one["status"] for one in as_json["exercises"]["add"]] == ["passed"]
    assert run("check", "nowhere.ipynb").exit_code == 2


def test_check_of_what_is_no_notebook_says_so(run, tmp_path: Path) -> None:
    path = tmp_path / f"{TOY}.ipynb"
    path.write_text("{")
    found = run("check", str(path))
    assert found.exit_code == 3
    assert "not valid JSON" in found.stderr


def test_mutants_and_sample_print_json(run, toy: Toy) -> None:
    write_durably(toy.course.sample_class(TOY) / "full.py", '"""All."""\n')
    text = '"""A bug.\n\nkills: add_is_right\n"""\n# %% add\nadd = min\n'
    write_durably(toy.course.tasks(TOY) / "mutants" / "add__min.py", text)
    assert json.loads(run("sample", "--json").stdout) == {"written": {TOY: ["full"]}}
    assert json.loads(run("mutants", TOY, "--json").stdout)["killed"] == 1
    table = run("mutants", TOY).stdout
    assert "the solution" in table
    assert "1 of 1 caught; collateral: 0" in table


def test_doctor_tells_what_the_machine_can_do(run) -> None:
    found = run("doctor", "--json")
    assert found.exit_code == 0
    assert set(json.loads(found.stdout)) == {"sandbox", "gpu", "slurm", "versions"}
    assert json.loads(found.stdout)["versions"]["torch"].startswith("2.")
    assert "sandbox" in run("doctor").stdout


def test_outside_a_course_the_package_s_own_is_used_and_help_is_quick(tmp_path: Path) -> None:
    started = time.monotonic()
    command = [sys.executable, "-m", "autograder", "grade", "--help"]
    found = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert found.returncode == 0
    assert "autograder grade a02" in found.stdout
    assert time.monotonic() - started < 5


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, autograder.cli; sys.exit(bool({'torch', 'nbgrader', 'jupytext', 'nbformat'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
