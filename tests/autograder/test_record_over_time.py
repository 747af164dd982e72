"""The record after something changed: due dates, checks, marks, a failed or an interrupted run. Nothing goes stale."""

import csv
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from autograder.controller import executor, judge_runs
from autograder.controller.record import read_class
from autograder.controller.release import release
from autograder.reports.feedback import write_feedback
from autograder.wire.files import write_durably
from tests.autograder.classroom import (
    DUE,
    LATE,
    WRONG,
    ZERO_WHEN_LATE,
    Situation,
    give,
    opened,
    run,
    submit,
)
from tests.autograder.toy import ADD, CHECKS, DOUBLE, JUDGE, MASTER, TOY, Toy


@pytest.fixture
def here(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.chdir(toy.course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", toy.policy.judge_command)
    return toy


def canvas_points(toy: Toy) -> dict[str, str]:
    run("export", TOY, "--format", "canvas", ok=(0,))
    with open(toy.course.root / "_build/export" / TOY / "canvas.csv", newline="", encoding="utf-8") as file:
        return {row[3]: row[5] for row in csv.reader(file) if row[3] and row[3] != "SIS Login ID"}


def shown_on_page(toy: Toy, student: str) -> str:
    text = (toy.course.feedback(TOY) / student / "index.html").read_text()
    found = re.search(r"total>([\d.]+)</span>", text)
    return found[1] if found else ""


def test_a_moved_due_date_reaches_pages_and_exports_at_once(here: Toy) -> None:
    config = here.course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + ZERO_WHEN_LATE)
    submit(here, "ann", {"add": ADD, "double": DOUBLE})
    (here.course.submission("ann", TOY).parent / "timestamp.txt").write_text(LATE)
    run("grade", TOY)
    for day, points in ((1, "0"), (9, "5"), (2, "0")):
        with opened(here) as book:
            book.update_or_create_assignment(TOY, duedate=datetime(2026, 3, day))
        assert canvas_points(here) == {"ann": points}
        assert shown_on_page(here, "ann") == points
        with opened(here) as book:
            assert book.find_submission(TOY, "ann").late_submission_penalty == 5 - float(points)


def test_grading_one_student_renews_the_pages_of_the_class(here: Toy) -> None:
    for student in ("ann", "bob"):
        submit(here, student, {"add": WRONG})
    run("grade", TOY)
    submit(here, "ann", {"add": ADD, "double": DOUBLE})
    run("grade", TOY, "--student", "ann")
    folder = here.course.feedback(TOY)
    assert "2 students have a score. Median 50% of the points" in (folder / "class.html").read_text()
    assert re.search(r"ann</a></th><td class=number>5</td>", (folder / "index.html").read_text())
    assert re.search(r"bob</a></th><td class=number>0</td>", (folder / "index.html").read_text())


def change_the_checks(toy: Toy, points: int) -> None:
    """`add` is worth other points from now on: in the master, the checks, and the judge that stands in."""
    write_durably(toy.course.master(TOY), MASTER.replace("points: 2", f"points: {points}"))
    changed = CHECKS["add"].replace("points=1", f"points={points / 2:g}")
    write_durably(toy.course.tasks(TOY) / "checks" / "add.py", changed)
    (toy.course.root / "fake_judge.py").write_text(JUDGE.replace('"add": 2', f'"add": {points}'))
    release(toy.course, TOY)


def test_mixed_maxima_are_never_exported_and_are_named_on_every_page(here: Toy) -> None:
    for student in ("ann", "bob", "cat"):
        submit(here, student, {"add": f"{ADD}  # {student}"})
    run("grade", TOY)
    change_the_checks(here, 4)
    assert canvas_points(here) == {"ann": "2", "bob": "2", "cat": "2"}  # of 5 for all, as long as nobody has others
    run("grade", TOY, "--student", "bob")
    refused = run("export", TOY, "--format", "canvas", ok=(3,))
    sentence = "1 student was graded by other checks than the rest, and the points to reach differ: bob"
    assert sentence in refused.stderr
    assert f"autograder grade {TOY}" in refused.stderr
    for page in ("index.html", "class.html"):
        assert sentence in (here.course.feedback(TOY) / page).read_text()
    run("grade", TOY)
    assert canvas_points(here) == {"ann": "4", "bob": "4", "cat": "4"}


def test_a_failed_judge_leaves_no_old_score_in_any_output(here: Toy) -> None:
    for student in ("ann", "bob"):
        submit(here, student, {"add": f"{ADD}  # {student}"})
    run("grade", TOY)
    judge = here.course.root / "fake_judge.py"
    judge.write_text(JUDGE.replace("JUDGE_DIES", "# ann"))
    run("grade", TOY, "--regrade", ok=(3,))
    assert canvas_points(here) == {"ann": "", "bob": "2"}
    assert shown_on_page(here, "ann") == ""
    judge.write_text(JUDGE)
    run("grade", TOY, ok=(0,))
    assert canvas_points(here) == {"ann": "2", "bob": "2"}


def test_an_interrupted_regrade_changes_nothing_and_says_so(here: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    for student in ("ann", "bob"):
        submit(here, student, {"add": f"{ADD}  # {student}"})
    run("grade", TOY)
    before, runs = canvas_points(here), here.judge_runs

    def interrupted(*_: Any, watch: Callable[[], None], **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C
        while True:
            watch()
            time.sleep(0.05)

    ignoring = signal.signal(signal.SIGINT, signal.default_int_handler)  # workers of pytest-xdist ignore it
    try:
        with monkeypatch.context() as patch:
            patch.setattr(executor, "run_judge", interrupted)
            said = run("grade", TOY, "--regrade", "--workers", "1", ok=(3,))
    finally:
        signal.signal(signal.SIGINT, ignoring)
    assert "Interrupted" in said.stderr
    assert "as they were before" in said.stderr
    assert canvas_points(here) == before
    run("grade", TOY, ok=(0,))
    assert (canvas_points(here), here.judge_runs) == (before, runs)


def test_the_gradebook_and_the_ledger_never_contradict_each_other_in_silence(here: Toy) -> None:
    submit(here, "ann", {"add": ADD})
    submit(here, "bob", {"add": f"{ADD}  # bob"})
    run("grade", TOY)
    with opened(here) as book:
        grade = book.find_grade("add_test", TOY, TOY, "ann")
        grade.auto_score = 0.5
        book.db.commit()
    ann, bob = read_class(here.course, TOY).students
    assert (ann.score, bob.score) == (None, 2.0)
    assert "does not hold the outcome" in ann.problem
    run("grade", TOY, ok=(0,))
    assert read_class(here.course, TOY).students[0].score == 2.0


def test_a_failing_plugin_for_late_work_is_named(here: Toy) -> None:
    config = here.course.root / "nbgrader_config.py"
    plugin = (
        "\nfrom nbgrader.plugins import BasePlugin\n\n\nclass Broken(BasePlugin):\n"
        "    def late_submission_penalty(self, *about):\n        raise ZeroDivisionError('odd')\n\n\n"
        "c.AssignLatePenalties.plugin_class = Broken\n"
    )
    submit(here, "ann", {"add": ADD})
    run("grade", TOY)
    with opened(here) as book:
        book.update_or_create_assignment(TOY, duedate=DUE)
        book.update_or_create_submission(TOY, "ann", timestamp=datetime(2026, 3, 3))
    config.write_text(config.read_text() + plugin)
    said = run("export", TOY, "--format", "canvas", ok=(3,)).stderr
    for part in ("Broken", "nbgrader_config.py", "'ann'", "ZeroDivisionError: odd"):
        assert part in said.replace("\n", " "), part


def test_pages_hold_no_student_who_is_gone(here: Toy) -> None:
    for student in ("ann", "bob"):
        submit(here, student, {"add": ADD})
    run("grade", TOY)
    shutil.rmtree(here.course.submitted / "bob")
    write_feedback(here.course, read_class(here.course, TOY))
    assert sorted(path.name for path in here.course.feedback(TOY).iterdir()) == ["ann", "class.html", "index.html"]
    assert list(read_class(here.course, TOY).missing) == ["bob"]


def test_a_mark_of_another_maximum_wants_another_look(here: Toy) -> None:
    submit(here, "ann", {"add": ADD})
    run("grade", TOY)
    give(here, "ann", Situation({}, None, by_hand={"add": 1.5, "double": 1}))
    change_the_checks(here, 4)
    run("grade", TOY)
    (ann,) = read_class(here.course, TOY).students
    assert (ann.score, ann.max, ann.outdated) == (2.5, 7, ["add"])
    give(here, "ann", Situation({}, None, by_hand={"add": 3}))
    run("grade", TOY)
    (ann,) = read_class(here.course, TOY).students
    assert (ann.score, ann.outdated) == (4, [])
