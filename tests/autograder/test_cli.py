"""The command line: one JSON object where asked, plain sentences otherwise, and exit statuses that scripts rely on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.controller import judge_runs
from autograder.wire.files import write_durably
from tests.autograder.toy import MASTER, ROOT, TOY, Toy

ADD = "def add(a, b):\n    return a + b"


@pytest.fixture
def run(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    """Runs the command line in the toy course with the fake judge."""
    monkeypatch.chdir(toy.course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", toy.policy.judge_command)

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
    assert found.exit_code == 2
    assert "not valid JSON" in found.stderr


def test_mutants_and_sample_print_json(run, toy: Toy) -> None:
    write_durably(toy.course.sample_class(TOY) / "full.py", '"""All."""\n')
    text = '"""A bug.\n\nkills: add_is_right\n"""\n# %% add\nadd = min\n'
    write_durably(toy.course.tasks(TOY) / "mutants" / "add" / "min.py", text)
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


def test_no_two_students_read_the_same_in_a_narrow_terminal(run, toy: Toy) -> None:
    names = [f"smith_jane_of_the_second_group_{number:03d}" for number in range(3)]
    names.append("x" * 70)
    for name in names:
        toy.submit(name, toy.notebook(add=ADD))
    shown = CliRunner().invoke(app, ["grade", TOY], env={"COLUMNS": "80"}).stdout
    assert max(map(len, shown.splitlines()[:12])) <= 80
    rows = [line.split("│")[1] for line in shown.splitlines() if line.startswith("│")]
    text = "".join(cell.strip() for cell in rows)
    for name in names:
        assert name in text
    assert "…" not in shown


def test_a_large_class_fills_no_screen_with_paths(run, toy: Toy) -> None:
    for number in range(12):
        toy.submit(f"s{number:02d}", toy.notebook(add=ADD))
    shown = run("grade", TOY).stdout
    assert shown.count("Feedback:") == 3
    assert f"12 pages, _build/feedback/{TOY}/<student>/index.html" in shown


def test_a_task_that_the_judge_cannot_load_is_not_released_and_its_file_is_named(run, toy: Toy) -> None:
    tasks = toy.course.tasks(TOY)
    task, checks = (tasks / "task.toml").read_text(), (tasks / "checks" / "add.py").read_text()
    doubled = checks.replace("def adds_any_numbers", "def adds_one_and_two")
    twice = checks.replace("def adds_negative_numbers", "def adds_any_numbers")
    for name, text, said in (
        ("task.toml", task.replace('chapter = "book/none"\n', ""), "'chapter' is missing"),
        ("task.toml", task.replace("minutes = 1\n", "", 1), "'minutes'"),
        ("task.toml", task + "title = 3", "task.toml"),
        ("checks/add.py", doubled, "'adds_one_and_two'"),
        ("checks/add.py", twice, "defined twice"),
        ("checks/add.py", f"import nothing_of_this_name\n{checks}", "nothing_of_this_name"),
    ):
        write_durably(tasks / name, text)
        found = run("release", TOY)
        assert found.exit_code == 3, name
        assert said in found.stderr.replace("\n", ""), found.stderr
        assert str(tasks) in found.stderr.replace("\n", "")
        write_durably(tasks / "task.toml", task)
        write_durably(tasks / "checks" / "add.py", checks)
    assert run("release", TOY).exit_code == 0


def test_points_in_the_text_of_an_exercise_must_be_those_of_its_checks(run, toy: Toy) -> None:
    for told, status in (("*2 points, 5 minutes.* Add", 0), ("*3 points, 5 minutes.* Add", 3)):
        write_durably(toy.course.master(TOY), MASTER.replace("Add", told, 1).replace("Add two", f"{told} two"))
        found = run("release", TOY)
        assert found.exit_code == status, found.stderr
    assert "the text above 'add' says 3.0 points" in found.stderr.replace("\n", " ")
    assert str(toy.course.master(TOY)) in found.stderr.replace("\n", "")
