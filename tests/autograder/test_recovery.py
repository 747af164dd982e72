"""G3: killed at any step and started again, grading ends with the same ledger and gradebook; nothing is lost.

The steps are every change of the ledger, the audit log, the job folders and the gradebook. A kill comes after each, in
the grading of a job from its first run to the record.
"""

import contextlib
import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.controller import executor, gradebook, judge_runs
from autograder.controller.course import alone
from autograder.controller.grading import grade
from autograder.controller.ledger import Ledger
from autograder.wire.errors import CannotGrade
from autograder.wire.files import append_durably
from tests.autograder.toy import ROOT, TOY, Toy

ADD = "def add(a, b):\n    return a + b"
KILLED = """
import os, signal, sys
from pathlib import Path
from autograder.controller import executor, grading, gradebook, judge_runs
from autograder.controller.ledger import Ledger
from tests.autograder.toy import TOY, Toy

fatal, steps = int(sys.argv[2]), []


def step(name):
    steps.append(name)
    if len(steps) == fatal:
        os.kill(os.getpid(), signal.SIGKILL)


def watched(owner, name):
    function = getattr(owner, name)

    def around(*args, **kwargs):
        result = function(*args, **kwargs)
        step(name)
        return result

    setattr(owner, name, around)


for name in ("add", "lease", "finish", "note_graded"):
    watched(Ledger, name)
for name in ("write_durably", "append_durably"):
    watched(judge_runs, name)
watched(executor, "run_judge")
watched(judge_runs.shutil, "rmtree")
for name in ("register", "autograde", "reset"):
    watched(gradebook, name)
toy = Toy(Path(sys.argv[1]))
grading.grade(toy.course, TOY, policy=toy.policy, workers=1)
print(len(steps))
"""


def run_killed(root: Path, fatal: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(root), str(fatal)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def ledger_of(toy: Toy) -> list[tuple]:
    """Everything in the ledger that is no clock reading and no name of a process."""
    with sqlite3.connect(toy.course.ledger_path) as database:
        return sorted(database.execute("SELECT bundle, state, error, owner, length(result) FROM jobs"))


def audited(toy: Toy) -> set[str]:
    return {json.loads(line)["bundle"] for line in toy.course.audit_path.read_text().splitlines()}


def graded_after_a_kill(toy: Toy, fatal: int) -> tuple:
    """Ledger, gradebook and audited bundles after a run that is killed at a step, and a whole one."""
    killed = run_killed(toy.course.root, fatal)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-1000:]
    report = grade(toy.course, TOY, policy=toy.policy)
    assert not report.grader_failed
    return ledger_of(toy), gradebook.scores(toy.course, TOY), audited(toy)


@pytest.mark.slow
def test_killed_at_every_step_it_ends_the_same(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.submit("bob", toy.notebook(add=f"{ADD}  # JUDGE_DISTURBED"))
    fresh = tmp_path / "fresh"
    shutil.copytree(toy.course.root, fresh, ignore=shutil.ignore_patterns("fresh"))
    steps = int(run_killed(toy.course.root, 0).stdout)
    right = ledger_of(toy), gradebook.scores(toy.course, TOY), audited(toy)
    assert steps >= 13  # each that is watched, and some more than once
    for fatal in range(1, steps + 1):
        again = tmp_path / f"again{fatal}"
        shutil.copytree(fresh, again)
        assert graded_after_a_kill(Toy(again), fatal) == right, fatal
        shutil.rmtree(again)


def test_killed_between_the_judges_result_and_the_ledger_nothing_is_judged_again(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    steps = 0
    with pytest.MonkeyPatch.context() as patch:

        def dies(*_: object) -> None:
            raise KeyboardInterrupt  # as near to a kill as a process can come that has to go on

        patch.setattr(judge_runs, "append_durably", dies)
        patch.setattr(Ledger, "fail", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            grade(toy.course, TOY, policy=toy.policy)
    steps = toy.judge_runs
    with sqlite3.connect(toy.course.ledger_path) as database:
        database.execute("UPDATE jobs SET heartbeat = 0")
    assert grade(toy.course, TOY, policy=toy.policy).json()["scores"]["ann"] == {"score": 2.0, "max": 5.0}
    assert toy.judge_runs == steps == 1
    assert len(toy.course.audit_path.read_text().splitlines()) == 1


def test_the_audit_log_knows_before_the_ledger_does(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    seen = []
    finish = Ledger.finish

    def noting(self: Ledger, *args: object, **kwargs: object) -> bool:
        seen.append(len(toy.course.audit_path.read_text().splitlines()))
        return finish(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "finish", noting)
    grade(toy.course, TOY, policy=toy.policy)
    assert seen == [1]


def test_a_torn_line_in_the_audit_log_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    append_durably(path, '{"a": 1}')
    with open(path, "a") as log:
        log.write('{"torn": ')
    append_durably(path, '{"b": 2}')
    assert path.read_text() == '{"a": 1}\n{"torn": \n{"b": 2}\n'


def test_a_second_grader_is_told_to_wait_and_changes_nothing(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    with alone(toy.course):
        with pytest.raises(CannotGrade, match=rf"graded by another process \(process {os.getpid()} on .*Wait for it"):
            grade(toy.course, TOY, policy=toy.policy)
        assert toy.judge_runs == 0
    assert grade(toy.course, TOY, policy=toy.policy).json()["graded"] == 1


def test_the_lock_ends_with_a_killed_grader(toy: Toy) -> None:
    program = (
        "import sys, time; from pathlib import Path; from autograder.controller.course import Course, alone\n"
        "with alone(Course(Path(sys.argv[1]))): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(toy.course.root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CannotGrade, match=f"process {holder.pid} "), alone(toy.course):
            pass
        holder.kill()
    with alone(toy.course):
        pass


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["write_durably", "append_durably"])
def test_a_full_disk_is_named_and_costs_nobody_a_point(toy: Toy, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    with monkeypatch.context() as patch:
        patch.setattr(judge_runs, where, full_disk)
        report = grade(toy.course, TOY, policy=toy.policy)
    assert report.grader_failed
    assert "No space left on device" in report.students[0].problem
    assert report.json()["scores"]["ann"] == {"score": None, "max": None}
    assert grade(toy.course, TOY, policy=toy.policy).json()["scores"]["ann"] == {"score": 2.0, "max": 5.0}


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_disk_that_is_really_full_is_survived(toy: Toy, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        small = disk / "course"
        shutil.copytree(toy.course.root, small, ignore=shutil.ignore_patterns("disk", "__pycache__"))
        course = Toy(small)
        course.submit("ann", course.notebook(add=ADD))
        fill(disk / "filler")
        with contextlib.suppress(CannotGrade):  # told whole, or told of each student
            report = grade(course.course, TOY, policy=course.policy)
            assert report.grader_failed
            assert report.students[0].result is None
        (disk / "filler").unlink()
        assert grade(course.course, TOY, policy=course.policy).json()["scores"]["ann"] == {"score": 2.0, "max": 5.0}
        assert gradebook.scores(course.course, TOY)["ann"] == {"add_test": 2.0, "double_test": 0.0}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_regrade_that_is_interrupted_leaves_no_old_score_beside_a_new_one(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    before = grade(toy.course, TOY, policy=toy.policy).json()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "run_judge", full_disk)
        assert grade(toy.course, TOY, policy=toy.policy, regrade=True).grader_failed
    assert gradebook.scores(toy.course, TOY)["ann"] == {"add_test": None, "double_test": None}
    assert grade(toy.course, TOY, policy=toy.policy).json() == before
