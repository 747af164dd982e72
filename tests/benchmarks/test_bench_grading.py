"""The grading benchmark: work that is never equal, phases that are measured once, and a kill in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.cells.bundle import read_bundle
from autograder.cells.released import ReleasedNotebook
from autograder.controller import gradebook
from autograder.controller.grading import grade
from tests.autograder.toy import TOY, Toy, make_toy_course

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
PROGRAM = (
    "import sys; from pathlib import Path; from tests.autograder.toy import TOY, Toy; "
    "from autograder.controller.grading import grade; toy = Toy(Path(sys.argv[1])); "
    "grade(toy.course, TOY, policy=toy.policy, workers=2)"
)


def test_no_two_submissions_are_equal_work_and_the_class_is_the_same_each_time(tmp_path: Path) -> None:
    from bench_grading import ASSIGNMENT, make_course

    course = make_course(tmp_path / "course", 12)
    released = ReleasedNotebook.load(course.student_notebook(ASSIGNMENT))
    paths = [course.submission(student, ASSIGNMENT) for student in course.students(ASSIGNMENT)]
    bundles = [read_bundle(path, ASSIGNMENT, released) for path in paths]
    assert len({bundle.sha256 for bundle in bundles}) == 12
    assert all(source for bundle in bundles for source in bundle.cells.values())
    again = make_course(tmp_path / "again", 12)
    assert [again.submission(s, ASSIGNMENT).read_bytes() for s in again.students(ASSIGNMENT)] == [
        path.read_bytes() for path in paths
    ]


def test_a_phase_that_was_measured_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench_grading

    monkeypatch.setattr(bench_grading, "PLACE", tmp_path)
    assert bench_grading.phase("a", lambda: 1.5) == 1.5
    assert bench_grading.phase("a", lambda: pytest.fail("measured twice")) == 1.5
    assert json.loads((tmp_path / "phases.json").read_text()) == {"a": 1.5}


def wait_for_runs(toy: Toy, count: int) -> None:
    for _ in range(600):
        if toy.judge_runs >= count:
            return
        time.sleep(0.1)
    pytest.fail(f"{toy.judge_runs} judge runs after a minute, not {count}")


@pytest.mark.slow
def test_a_class_goes_on_where_a_kill_left_it_and_ends_as_if_there_had_been_none(tmp_path: Path) -> None:
    """Nothing that was finished is judged twice, nobody is lost, and gradebook and report are those of a quiet run."""
    from autograder.controller.release import release

    toys = {}
    for name in ("killed", "quiet"):
        course = make_toy_course(tmp_path / name)
        release(course, TOY)
        toy = toys[name] = Toy(course.root)
        judge = course.root / "fake_judge.py"
        judge.write_text(judge.read_text().replace("wanted = job", "time.sleep(1); wanted = job"))
        for number in range(8):
            work = "def add(a, b):\n    return a + b" if number % 3 else "pass"
            toy.submit(f"s{number}", toy.notebook(add=f"{work}  # {number}"))
    killed, quiet = toys["killed"], toys["quiet"]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(killed.course.root)], cwd=ROOT)
    wait_for_runs(killed, 5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    report = grade(killed.course, TOY, policy=killed.policy, workers=2)
    assert report.json() == grade(quiet.course, TOY, policy=quiet.policy, workers=2).json()
    assert report.json()["graded"] == 8
    assert gradebook.scores(killed.course, TOY) == gradebook.scores(quiet.course, TOY)
    assert 8 <= killed.judge_runs <= 8 + 2  # the two that were under way
    audited = [json.loads(line)["bundle"] for line in killed.course.audit_path.read_text().splitlines()]
    assert len(set(audited)) == 8
    assert len(audited) <= 8 + 2  # killed between the log and the ledger, a run is written down once more
