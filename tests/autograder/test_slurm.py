"""A class graded through a real Slurm: whatever happens to tasks, node and controllers, the record is the same.

Slurm of one node is started and ended here, see `one_node_slurm`. The judge waits as long as a file named `hold` lies
in the course, and notes each run when it goes on, so that a run which was ended while it waited is in no count.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autograder.assurance import doctor
from autograder.assurance.answers import solution_cells
from autograder.cells.bundle import Bundle
from autograder.cells.released import ReleasedNotebook
from autograder.cli import app
from autograder.controller import judge_runs
from autograder.controller.grading import grade
from autograder.controller.judge_runs import Job, Policy, judging_for
from autograder.controller.slurm import Slurm, SlurmOptions
from autograder.wire.errors import CannotGrade
from tests.autograder.one_node_slurm import OneNodeSlurm, lacking, until
from tests.autograder.toy import ADD, DOUBLE, JUDGE, ROOT, TOY, Toy, link_repository

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(lacking()), reason=lacking())]

HELD = f"""import os, time
while os.path.exists("hold"):
    open(f"held-{{os.getpid()}}", "w").close()
    time.sleep(0.05)
{JUDGE}"""
WITHOUT = """import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"nbgrader", "nbformat", "jupytext", "pydantic", "submitit", "cloudpickle", "typer"}:
            raise ModuleNotFoundError(f"this node has no {name}")
sys.meta_path.insert(0, Lacking())
"""
GRADE = """import json, sys
from tests.autograder.test_slurm import OnSlurm
print(json.dumps(OnSlurm(sys.argv[1]).grade()))
"""
REAL, EXERCISE = "a02_speculative_decoding", "accept"
CLASS = {"ann": {"add": ADD, "double": DOUBLE}, "bob": {"add": ADD}, "cas": {"double": DOUBLE}}
SCORES = {"ann": {"score": 5.0, "max": 5.0}, "bob": {"score": 2.0, "max": 5.0}, "cas": {"score": 3.0, "max": 5.0}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNodeSlurm]:
    one = OneNodeSlurm(tmp_path_factory.mktemp("slurm"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", one.environment["SLURM_CONF"])
        try:
            one.start()
            yield one
        finally:
            one.stop()


class OnSlurm:
    """The toy course, graded by a judge that waits on nodes which lack what a GPU node lacks."""

    def __init__(self, root: str | Path) -> None:
        self.toy, self.root = Toy(Path(root)), Path(root)
        judge, packages, python = (
            self.root / "held_judge.py",
            self.root / "node" / "packages",
            self.root / "node/python",
        )
        packages.mkdir(parents=True, exist_ok=True)
        judge.write_text(HELD)
        (packages / "sitecustomize.py").write_text(WITHOUT)
        python.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        self.policy = self.toy.with_policy(judge_command=(sys.executable, str(judge)))
        self.options = SlurmOptions(gpus=1, cpus=1, memory_gb=0.5, minutes=5, array_size=8, python=str(python))

    def executor(self, **changes: Any) -> Slurm:
        return Slurm(self.toy.course, replace(self.options, **changes))

    def grade(self, **options: Any) -> dict[str, Any]:
        return grade(self.toy.course, TOY, policy=self.policy, executor=self.executor(), **options).json()

    def begin(self) -> "subprocess.Popen[str]":
        """Grade in a process of its own; back when as many judges wait as the node has GPUs."""
        (self.root / "hold").touch()
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", GRADE, str(self.root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        until(lambda: len(self.held) == 2, "the start of two judges")
        return process

    @property
    def held(self) -> list[Path]:
        return list(self.root.glob("held-*"))

    def go_on(self) -> None:
        (self.root / "hold").unlink()

    def end(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        """What a process that grades said at its end."""
        return json.loads(process.communicate(timeout=120)[0])


@pytest.fixture
def course(toy: Toy, cluster: OneNodeSlurm) -> OnSlurm:
    for student, cells in CLASS.items():
        toy.submit(student, toy.notebook(**cells))
    return OnSlurm(toy.course.root)


def running(cluster: OneNodeSlurm) -> list[str]:
    return cluster("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split()


def test_a_class_has_the_scores_that_it_has_here_and_its_progress_is_told(course: OnSlurm) -> None:
    seen: list[tuple[str, float, str]] = []
    assert course.grade(progress=lambda *event: seen.append(event))["scores"] == SCORES
    assert any("Slurm's queue" in what for _, _, what in seen)
    assert not list((course.root / "_build" / "slurm").glob("*result.pkl"))  # nothing to unpickle
    assert grade(course.toy.course, TOY, policy=course.policy).json()["scores"] == SCORES


def test_the_real_judge_finds_on_a_node_what_it_finds_here(course: OnSlurm, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = link_repository(tmp_path / "real")
    released = ReleasedNotebook.load(real.student_notebook(REAL))
    cells = {**released.stubs, EXERCISE: solution_cells(real, REAL)[EXERCISE]}
    job = Job(Bundle(REAL, cells, (), True), Policy(exercises=(EXERCISE,), speed=False))
    outcomes, shares = [], []
    for executor in (Slurm(real, replace(course.options, memory_gb=2)), None):
        with judging_for(real, REAL, executor) as judging:
            found = judging.replayed(job, lambda share, _: shares.append(share))
            outcomes.append([(one.name, one.status, one.score) for one in found.exercises[EXERCISE].checks])
    assert outcomes[0] == outcomes[1]
    assert {status for _, status, _ in outcomes[0]} == {"passed"}
    assert sum(0 < share < 1 for share in shares) >= len(outcomes[0])


def test_requeued_or_cancelled_tasks_are_judged_again_and_no_others(course: OnSlurm, cluster: OneNodeSlurm) -> None:
    process = course.begin()
    first, second = running(cluster)
    cluster("scontrol", "requeue", first)
    cluster("scancel", second)
    until(lambda: not running(cluster), "the end of both")
    course.go_on()
    assert course.end(process)["scores"] == SCORES
    assert course.toy.judge_runs == 3


def test_a_lost_node_costs_nobody_a_point(course: OnSlurm, cluster: OneNodeSlurm) -> None:
    process = course.begin()
    cluster.kill_node()
    course.go_on()
    cluster.start_node()
    cluster("scontrol", "update", f"NodeName={cluster.host}", "State=RESUME")
    assert course.end(process)["scores"] == SCORES
    assert course.toy.judge_runs == 3


def test_a_killed_grader_finds_its_tasks_again_and_submits_none_twice(course: OnSlurm, cluster: OneNodeSlurm) -> None:
    process = course.begin()
    process.kill()
    process.communicate()
    before = {line.split("|")[0] for line in cluster("squeue", "-h", "-r", "--states=all", "-o", "%i|").splitlines()}
    course.go_on()
    assert course.grade()["scores"] == SCORES
    after = {line.split("|")[0] for line in cluster("squeue", "-h", "-r", "--states=all", "-o", "%i|").splitlines()}
    assert len(after - before) == 1  # the task that asks a node what it is
    assert course.toy.judge_runs == 3


def test_slurms_own_controller_is_killed(course: OnSlurm, cluster: OneNodeSlurm) -> None:
    process = course.begin()
    cluster.kill_controller()
    course.go_on()
    until(lambda: course.toy.judge_runs == 2, "two results")
    cluster.start_controller()
    assert course.end(process)["scores"] == SCORES
    assert course.toy.judge_runs == 3


def test_what_slurm_does_not_take_is_said(course: OnSlurm) -> None:
    with pytest.raises(CannotGrade, match=r"Slurm did not take the tasks: .*[Pp]artition"):
        course.executor(partition="none").versions()


def test_a_judge_that_fails_is_told_and_tried_again_by_the_next_run(course: OnSlurm) -> None:
    course.toy.submit("bob", course.toy.notebook(add=f"{ADD}  # JUDGE_DIES"))
    for tries in (1, 2):
        found = grade(course.toy.course, TOY, students=["bob"], policy=course.policy, executor=course.executor())
        assert "the judge fell over" in found.of(["bob"]).students[0].problem
        assert course.toy.judge_runs == tries


def test_commands_know_the_cluster(course: OnSlurm, cluster: OneNodeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    found = doctor.report()["slurm"]
    assert found["available"]
    assert found["partitions"][0] | {"name": "grading", "gpus": "gpu:2"} == found["partitions"][0]
    assert "grading has 1 nodes" in dict(doctor.lines(doctor.report()))["Slurm"]
    monkeypatch.chdir(course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", course.policy.judge_command)
    words = ["grade", TOY, "--json", "--executor", "slurm", "--gpus", "1", "--memory", "1", "--sbatch", "comment=class"]
    done = CliRunner().invoke(app, words, env={"AUTOGRADER_PARTITION": "grading"})
    assert json.loads(done.stdout)["scores"] == SCORES
