"""Grading a class: every submission gets what it deserves in nbgrader's gradebook, however broken its file is."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.controller import nbgrader_step
from autograder.controller.grading import grade
from autograder.wire.errors import CannotGrade, UsageError
from autograder.wire.files import write_durably
from tests.autograder.toy import ADD, DOUBLE, ROOT, TOY, Toy, book, graded

FULL = {"add_test": 2.0, "double_test": 3.0}


def test_scores_reach_report_and_gradebook(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD, double=DOUBLE))
    toy.submit("bob", toy.notebook(add=ADD))
    toy.submit("cat", toy.notebook())
    found = graded(toy).json()
    for more in ("students", "missing", "not_understood", "warnings"):
        assert found.pop(more) is not None
    assert found == {
        "assignment": TOY,
        "submissions": 3,
        "graded": 3,
        "invalid": 0,
        "not_graded": 0,
        "scores": {
            "ann": {"score": 5.0, "max": 5.0},
            "bob": {"score": 2.0, "max": 5.0},
            "cat": {"score": 0.0, "max": 5.0},
        },
    }
    assert book(toy) == {
        "ann": FULL,
        "bob": {"add_test": 2.0, "double_test": 0.0},
        "cat": {"add_test": 0.0, "double_test": 0.0},
    }


def test_grading_again_changes_nothing_and_judges_nothing(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    first, scores = graded(toy).json(), book(toy)
    assert toy.judge_runs == 1
    assert (graded(toy).json(), book(toy), toy.judge_runs) == (first, scores, 1)
    assert (graded(toy, regrade=True).json(), book(toy), toy.judge_runs) == (first, scores, 2)


def test_nbgraders_step_parses_nothing_that_was_read_before(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nbgrader_step, "read_submitted", lambda *_: pytest.fail("parsed again"))
    for student in ("ann", "bob"):
        toy.submit(student, toy.notebook(add=f"{ADD}  # {student}"))
    graded(toy)
    assert {student: scores["add_test"] for student, scores in book(toy).items()} == {"ann": 2.0, "bob": 2.0}


def test_equal_work_is_judged_once(toy: Toy) -> None:
    for student in ("ann", "bob", "cat"):
        toy.submit(student, toy.notebook(add=ADD))
    assert graded(toy, workers=3).json()["graded"] == 3
    assert toy.judge_runs == 1


def test_one_and_many_workers_give_the_same(toy: Toy) -> None:
    for number in range(6):
        toy.submit(f"s{number}", toy.notebook(add=f"{ADD}  # {number}" if number % 2 else f"pass  # {number}"))
    alone = graded(toy, workers=1).json()
    assert graded(toy, workers=6, regrade=True).json() == alone
    assert toy.judge_runs == 12


def test_a_better_and_a_worse_resubmission_replace_the_score(toy: Toy) -> None:
    for cells, expected in (({"add": ADD}, 2.0), ({"add": ADD, "double": DOUBLE}, 5.0), ({}, 0.0)):
        toy.submit("ann", toy.notebook(**cells))
        assert graded(toy).json()["scores"]["ann"]["score"] == expected
        assert sum(score or 0 for score in book(toy)["ann"].values()) == expected


def _without(notebook: dict, *names: str) -> dict:
    kept = [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") not in names]
    return {**notebook, "cells": kept}


def _with_metadata(notebook: dict, name: str, **changes: object) -> dict:
    changed = copy.deepcopy(notebook)
    for cell in changed["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("grade_id") == name:
            mark.update(changes)
    return changed


def hostile(notebook: dict) -> dict[str, dict | str]:
    """Ways to break a notebook that solves everything without touching its solutions; each must keep full marks."""
    cells = notebook["cells"]
    return {
        "deleted_test_cell": _without(notebook, "add_test", "setup"),
        "doubled_test_cell": {**notebook, "cells": [*cells, cells[4]]},
        "more_points": _with_metadata(notebook, "add_test", points=1000),
        "points_as_text": _with_metadata(notebook, "add_test", points="lots"),
        "not_a_test": _with_metadata(notebook, "add_test", grade=False),
        "solution_as_test": _with_metadata(notebook, "add", grade=True, points=100, locked=True),
        "old_schema": _with_metadata(notebook, "add", schema_version=1),
        "new_schema": _with_metadata(notebook, "add", schema_version=99),
        "schema_as_text": _with_metadata(notebook, "add", schema_version="three"),
        "no_kernel": {**notebook, "metadata": {}},
        "metadata_is_a_list": {**notebook, "metadata": [1]},
        "odd_format": {**notebook, "nbformat": 99, "nbformat_minor": "x"},
        "odd_cells": {**notebook, "cells": [*cells, None, 3, {"cell_type": "raw"}, {"source": {}}]},
        "doubled_ids": {**notebook, "cells": [{**cell, "id": "same"} for cell in cells]},
        "forged_output": {**notebook, "cells": [_with_output(cell) for cell in cells]},
        "lone_surrogate": {
            **notebook,
            "cells": [*cells, {"cell_type": "markdown", "metadata": {}, "source": "\ud800"}],
        },
    }


def _with_output(cell: dict) -> dict:
    output = {"output_type": "execute_result", "data": {"text/plain": "1000"}, "metadata": {}, "execution_count": 1}
    return {**cell, "outputs": [output]}


def test_hostile_notebooks_get_what_their_solutions_deserve(toy: Toy) -> None:
    broken = hostile(toy.notebook(add=ADD, double=DOUBLE))
    for student, notebook in broken.items():
        toy.submit(student, notebook)
    report = graded(toy)
    assert report.json()["scores"] == {student: {"score": 5.0, "max": 5.0} for student in sorted(broken)}
    assert book(toy) == dict.fromkeys(broken, FULL)


def test_odd_names_of_students_are_graded(toy: Toy) -> None:
    names = ["o'brien [2]", "a*", "žofie", "-x", "a.b (1)", "<b>"]
    for number, name in enumerate(names):
        toy.submit(name, toy.notebook(add=f"{ADD}  # {number}"))
    assert graded(toy).json()["scores"] == {name: {"score": 2.0, "max": 5.0} for name in sorted(names)}
    assert set(book(toy)) == set(names)


def test_what_is_no_notebook_is_left_to_a_person_and_never_gets_zero(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    toy.submit("garbage", b"\xff{not json")
    toy.submit("list", "[]")
    (toy.course.submitted / "empty" / TOY).mkdir(parents=True)
    write_durably(toy.course.submitted / "renamed" / TOY / "homework.ipynb", "{}")
    toy.course.submission("folder", TOY).mkdir(parents=True)
    report = graded(toy)
    unread = ["empty", "folder", "garbage", "list", "renamed"]
    assert {one.student for one in report.students if one.result is None} == set(unread)
    assert not report.grader_failed
    assert report.json()["scores"]["garbage"] == {"score": None, "max": None}
    assert report.json()["not_graded"] == 5
    for student, scores in book(toy).items():
        assert set(scores.values()) == ({None} if student in unread else {2.0, 0.0})
    assert book(toy)["garbage"] == {"add_test": None, "double_test": None}


@pytest.mark.parametrize("word", ["JUDGE_DIES", "JUDGE_LIES"])
def test_a_failing_judge_leaves_no_score_and_no_old_one(toy: Toy, word: str) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    toy.submit("bob", toy.notebook(add=ADD))
    graded(toy)
    toy.submit("ann", toy.notebook(add=f"{ADD}  # {word}"))
    report = graded(toy)
    assert report.grader_failed
    assert report.json()["scores"] == {"ann": {"score": None, "max": None}, "bob": {"score": 2.0, "max": 5.0}}
    assert book(toy) == {"ann": {"add_test": None, "double_test": None}, "bob": {"add_test": 2.0, "double_test": 0.0}}


def test_a_bug_in_our_checks_is_no_zero_and_is_judged_again(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=f"{ADD}  # GRADER_BUG"))
    for runs in (1, 2):
        report = graded(toy)
        assert report.grader_failed
        assert report.json()["scores"]["ann"] == {"score": None, "max": None}
        assert "TypeError: a check of ours broke" in report.students[0].problem
        assert toy.judge_runs == runs


def test_a_failed_run_is_tried_again_next_time(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=f"{ADD}  # JUDGE_DIES"))
    graded(toy)
    judge = toy.course.root / "fake_judge.py"
    judge.write_text(judge.read_text().replace("JUDGE_DIES", "NEVER"))
    assert graded(toy).json()["scores"]["ann"] == {"score": 2.0, "max": 5.0}


def test_a_disturbed_timing_costs_nothing(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=f"{ADD}  # JUDGE_DISTURBED"))
    found = graded(toy).json()
    assert found["invalid"] == 1
    assert found["scores"]["ann"] == {"score": 2.0, "max": 5.0}
    assert book(toy)["ann"] == {"add_test": 2.0, "double_test": 0.0}


def test_what_needs_a_gpu_is_left_out_of_the_maximum(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=f"{ADD}  # JUDGE_NEEDS_GPU", double=DOUBLE))
    assert graded(toy).json()["scores"]["ann"] == {"score": 3.0, "max": 3.0}
    assert book(toy)["ann"] == {"add_test": None, "double_test": 3.0}


def test_unknown_assignment_and_missing_release_say_what_to_do(toy: Toy) -> None:
    with pytest.raises(UsageError, match=f"Known: {TOY}"):
        grade(toy.course, "a91")
    toy.course.student_notebook(TOY).unlink()
    with pytest.raises(CannotGrade, match=f"autograder release {TOY}"):
        graded(toy)


def nbgrader(toy: Toy, *arguments: str) -> None:
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    judge = [f"--JudgeCells.judge_command={word}" for word in toy.policy.judge_command]
    command = [sys.executable, "-m", "nbgrader", *arguments, *judge]
    ran = subprocess.run(command, cwd=toy.course.root, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_nbgrader_autograde_gives_the_same_gradebook(toy: Toy) -> None:
    for student, notebook in hostile(toy.notebook(add=ADD)).items():
        toy.submit(student, notebook)
    toy.submit("garbage", "{")
    toy.submit("gpu", toy.notebook(add=f"{ADD}  # JUDGE_NEEDS_GPU", double=DOUBLE))
    nbgrader(toy, "autograde", TOY)
    alone, runs = book(toy), toy.judge_runs
    assert alone["gpu"] == {"add_test": None, "double_test": 3.0}
    (toy.course.root / "gradebook.db").unlink()
    graded(toy)
    assert book(toy) == alone
    assert toy.judge_runs == runs  # the bundles of both ways have the same names
    nbgrader(toy, "autograde", TOY)
    assert book(toy) == alone


def test_every_run_is_in_the_audit_log_and_no_secret_is(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    graded(toy)
    text = toy.course.audit_path.read_text()
    line = json.loads(text)
    assert line["result"]["exercises"]["add"]["score"] == 2
    assert toy.course.secret_path.read_text() not in text
    assert not list((toy.course.build / "jobs").glob("*"))


def _grade_in_a_process(toy: Toy) -> "subprocess.Popen[bytes]":
    program = (
        "import sys; from pathlib import Path; from tests.autograder.toy import TOY, Toy; "
        "from autograder.controller.grading import grade; toy = Toy(Path(sys.argv[1])); "
        "grade(toy.course, TOY, policy=toy.policy)"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(toy.course.root)], cwd=ROOT)


def test_a_killed_controller_is_taken_over(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=f"{ADD}  # JUDGE_SLEEPS"))
    process = _grade_in_a_process(toy)
    for _ in range(300):
        if toy.judge_runs:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    judge = toy.course.root / "fake_judge.py"
    judge.write_text(judge.read_text().replace("time.sleep(60)", "pass"))
    started = time.monotonic()
    assert graded(toy).json()["scores"]["ann"] == {"score": 2.0, "max": 5.0}
    assert time.monotonic() - started < 30
    assert book(toy)["ann"] == {"add_test": 2.0, "double_test": 0.0}


def test_a_slow_judge_is_ended_and_nothing_of_it_lives_on(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=f"{ADD}  # JUDGE_SLEEPS"))
    report = grade(toy.course, TOY, policy=toy.with_policy(deadline_s=1.0))
    assert report.grader_failed
    assert "took too long" in report.students[0].problem
    running = subprocess.run(["pgrep", "-f", str(toy.course.root / "fake_judge.py")], capture_output=True, text=True)
    assert running.stdout == ""
