"""Exports hold what is on record, in the formats that Canvas and Gradescope document; no spreadsheet runs a cell."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from typer.testing import CliRunner

from autograder.cells.bundle import Bundle
from autograder.cli import app
from autograder.controller import judge_runs
from autograder.controller.entries import Entry
from autograder.controller.grading import grade
from autograder.controller.names import shown
from autograder.controller.record import ClassRecord, Record
from autograder.controller.result import CheckResult, ExerciseResult, Result
from autograder.reports.exports import canvas_csv, exportable, gradescope_results, write_canvas
from autograder.wire.errors import CannotGrade
from tests.autograder.toy import TOY, Toy

ADD = "def add(a, b):\n    return a + b"
DOUBLE = "def double(a):\n    return add(a, a)"


def result(**exercises: tuple[float, float]) -> Result:
    """A result with one check for each exercise."""
    found = {}
    for name, (score, best) in exercises.items():
        check = CheckResult(
            "secret_name", "It works", score, best, "passed" if score else "failed", "said", {"seed": 1}
        )
        found[name] = ExerciseResult(score, best, "graded", (check,), "a log with a seed")
    return Result("k", "judge", "bubblewrap", found, 1.5)


def record(student: str, found: Result | None = None, **entry: str) -> Record:
    return Record(student, Bundle(TOY, {"add": "x", "double": "y"}), found, "not graded yet", entry=Entry(**entry))  # type: ignore[arg-type]


def csv_of(title: str, *found: Record, canvas_id: int | None = None) -> str:
    return canvas_csv(title, ClassRecord(TOY, found), canvas_id)


def read_as_canvas(text: str) -> tuple[str, float, dict[str, str]]:
    """What Canvas' importer takes from a file: its rules in lib/gradebook_importer.rb, written down once more.

    Returns:
        The column's heading, the points possible, and the grade for each login.
    """
    header, *rows = list(csv.reader(text.splitlines(keepends=True)))
    assert "Student" in header[0]
    assert "ID" in header[1]
    assert re.search(r"SIS\s+User\s+ID", header[2])
    assert re.search(r"SIS\s+Login\s+ID", header[3])
    assert "Section" in header[4]
    assert len(header) == 6
    possible, students = float("nan"), {}
    for row in rows:
        assert len(row) == len(header)
        if "Points Possible" in row[0]:
            possible = float(row[5])
        else:
            students[row[3]] = row[5]
    return header[5], possible, students


def test_canvas_reads_its_columns_the_points_possible_and_every_grade() -> None:
    found = [
        record("ann", result(add=(2, 2), double=(0.5, 3)), name='O"Hara, Ann; the "1st"', lms_id="4711"),
        record("bob", result(add=(0, 2), double=(0, 3))),
        record("cat", None),
    ]
    text = csv_of("A toy, with a comma", *found, canvas_id=99)
    assert read_as_canvas(text) == ("A toy, with a comma (99)", 5.0, {"ann": "2.5", "bob": "0", "cat": ""})
    row = list(csv.reader(text.splitlines(keepends=True)))[2]
    assert row[:5] == ['O"Hara, Ann; the "1st"', "4711", "", "ann", ""]
    assert read_as_canvas(csv_of("A toy", *found))[0] == "A toy"
    assert text.count("\r\n") == 5


def test_what_could_not_be_graded_leaves_the_share_as_it_is() -> None:
    """Canvas has one maximum for a column: a student for whom less was graded gets the same share of it."""
    found = [record("ann", result(add=(2, 2), double=(3, 3))), record("bob", result(add=(1, 2)))]
    assert read_as_canvas(csv_of("A", *found))[1:] == (5.0, {"ann": "5", "bob": "2.5"})


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str, toy: Toy, tmp_path: Path) -> None:
    evil = f'{start}HYPERLINK("http://evil.example","x")'
    found = ClassRecord(TOY, (record(evil, result(add=(1, 2)), name=evil, lms_id=evil),))
    out = tmp_path / "grades.csv"
    write_canvas(toy.course, TOY, found, out, None)
    with open(out, newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert cells.count(f"'{evil}" if start.isprintable() else shown(evil)) == 3
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\n")]


def test_who_hands_in_a_link_to_the_work_of_another_gets_no_score_for_it(toy: Toy) -> None:
    bobs = toy.submit("bob", toy.notebook(add=ADD, double=DOUBLE))
    anns = toy.submit("ann", "{")
    anns.unlink()
    anns.symlink_to(bobs)
    grade(toy.course, TOY, policy=toy.policy)
    ann, bob = exportable(toy.course, TOY).students
    assert (ann.score, bob.score) == (None, 5.0)


VISIBILITIES = {"hidden", "after_due_date", "after_published", "visible"}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
TEST_KEYS = {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags"}
TEST_KEYS |= {"visibility", "extra_data"}
TOP_KEYS = {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format"}
TOP_KEYS |= {"visibility", "stdout_visibility", "extra_data", "tests", "leaderboard"}


def assert_gradescope_takes(found: dict[str, Any]) -> None:
    """The documented format, key by key."""
    assert set(found) <= TOP_KEYS
    assert isinstance(found["score"], float)
    assert found["score"] >= 0
    assert found["stdout_visibility"] in VISIBILITIES
    assert found["output_format"] in FORMATS
    for test in found["tests"]:
        assert set(test) <= TEST_KEYS
        assert test["visibility"] in VISIBILITIES
        assert test.get("status", "passed") in {"passed", "failed"}
        assert {test["output_format"], test["name_format"]} <= FORMATS
        assert all(isinstance(test[key], str) for key in ("name", "number", "output"))
        assert ("score" in test) == ("max_score" in test)
        assert 0 <= test.get("score", 0) <= test.get("max_score", 0)


def graded(toy: Toy) -> tuple[Record, ...]:
    toy.submit("ann", toy.notebook(add=ADD, double=DOUBLE))
    toy.submit("bob", toy.notebook(add=f"{ADD}  # JUDGE_DISTURBED"))
    toy.submit("cat", toy.notebook(add=f"{ADD}  # JUDGE_NEEDS_GPU"))
    toy.submit("dan", "{")
    grade(toy.course, TOY, policy=toy.policy)
    return exportable(toy.course, TOY).students


def test_gradescope_gets_each_check_and_leaves_out_what_was_not_graded(toy: Toy) -> None:
    ann, bob, cat, dan = graded(toy)
    task = toy.course.task(TOY)
    for one in (ann, bob, cat):
        found = gradescope_results(task, one)
        assert_gradescope_takes(found)
        assert sum(test.get("score", 0) for test in found["tests"]) == found["score"]
        assert sum(test.get("max_score", 0) for test in found["tests"]) == found["extra_data"]["max_score"]
        text = json.dumps(found)
        for secret in ("secret_name", "seed", "add_is_right"):
            assert secret not in text
    assert gradescope_results(task, ann)["score"] == 5.0
    tests = gradescope_results(task, bob)["tests"]
    assert [(one["number"], one.get("score"), one.get("max_score"), one.get("status")) for one in tests] == [
        ("1.1", 2, 2, "passed"),
        ("1.2", None, None, None),
        ("2.1", 0, 3, "failed"),
    ]
    assert "costs no points" in tests[1]["output"]
    assert (bob.score, bob.max) == (2.0, 5.0)
    assert (dan.score, dan.max) == (None, None)


def test_hidden_checks_wait_for_publication_and_visible_ones_do_not() -> None:
    check = CheckResult("n", "t", 0, 0, "passed", "", {})
    exercise = ExerciseResult(0, 0, "graded", (check, CheckResult("m", "u", 1, 2, "passed", "", {})), "")
    found = gradescope_results(
        {"exercise": [{"id": "add", "title": "Addition"}]}, record("ann", Result("k", "j", "b", {"add": exercise}, 0))
    )
    assert [(test["visibility"], test["status"]) for test in found["tests"]] == [
        ("visible", "passed"),
        ("after_published", "failed"),  # one of two points: Gradescope knows no partly
    ]


def test_a_mark_given_by_hand_and_a_late_penalty_count(toy: Toy) -> None:
    graded(toy)
    with Gradebook(toy.course.db_url) as book:
        for cell, points in (("double_test", 2.5), ("add_test", 1.5)):
            marked: Any = book.find_grade(cell, TOY, TOY, "bob")
            marked.manual_score = points
        submission: Any = book.find_submission(TOY, "ann")
        submission.notebooks[0].late_submission_penalty = 1.0
        student: Any = book.find_student("bob")
        student.first_name, student.last_name, student.lms_user_id = "Bob", "Builder", "17"
        book.db.commit()
    ann, bob, *_ = exportable(toy.course, TOY).students
    assert ann.score == 4.0
    assert (bob.score, bob.max, bob.entry.name, bob.entry.lms_id) == (4.0, 5.0, "Builder, Bob", "17")
    found = gradescope_results(toy.course.task(TOY), bob)
    assert_gradescope_takes(found)
    assert sum(test.get("score", 0) for test in found["tests"]) == 4.0
    assert found["tests"][-1]["name"] == "Doubling: marked by a person"


def test_what_was_handed_in_after_grading_has_no_score_yet(toy: Toy) -> None:
    graded(toy)
    toy.submit("ann", toy.notebook(add=f"{ADD}  # again"))
    assert exportable(toy.course, TOY).students[0].score is None
    assert toy.judge_runs == 3  # an export judges nothing


def test_the_command_writes_both_formats(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", toy.policy.judge_command)

    def run(*arguments: str):
        return CliRunner().invoke(app, ["export", TOY, *arguments], env={"COLUMNS": "200"})

    nobody = run("--format", "canvas")
    assert (nobody.exit_code, "autograder grade" in nobody.stderr) == (3, True)
    graded(toy)
    done = run("--format", "canvas", "--canvas-id", "7")
    assert done.exit_code == 0
    assert "Without a score, so left empty: dan" in done.stderr
    text = (toy.course.root / f"_build/export/{TOY}/canvas.csv").read_text()
    assert read_as_canvas(text) == ("A toy (7)", 5.0, {"ann": "5", "bob": "2", "cat": "0", "dan": ""})
    found = json.loads(run("--format", "gradescope", "--out", "here", "--json").stdout)
    assert found.items() >= {"assignment": TOY, "path": "here", "exported": 3, "without_score": ["dan"]}.items()
    assert sorted(path.parent.name for path in Path("here").glob("*/results.json")) == ["ann", "bob", "cat"]
    assert run("--format", "excel").exit_code == 2


def test_nobody_graded_is_no_empty_export(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    with pytest.raises(CannotGrade, match="Nobody has a score"):
        exportable(toy.course, TOY)
