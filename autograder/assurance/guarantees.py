"""`autograder verify`: the guarantees G1 to G10, tried on the machine that will grade.

Exploits, the self-test of the sandbox, regrades, numbers of workers, solutions and stubs, and live timings are tried
here. Kills, leaks and broken judges are tried by the tests that hold them up.
"""

import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder.assurance import corpus
from autograder.assurance.answers import answered_cells, solution_cells
from autograder.assurance.mutants import exercise_of, kill_matrix, read_mutants
from autograder.cells.bundle import Bundle, clean_source
from autograder.cells.released import ReleasedNotebook
from autograder.checks import Check, Speed, Trial
from autograder.controller.course import Course
from autograder.controller.judge_runs import Job, Policy, judging_for
from autograder.controller.result import Result
from autograder.judge import sandbox, timing
from autograder.judge.job import JobFile
from autograder.judge.judge import forbidden_paths
from autograder.judge.program import Guard, Program
from autograder.judge.remote_call import RemoteCall
from autograder.judge.sandbox import Limits, NoSandbox
from autograder.judge.speed import Baseline, Student, Trials, injects
from autograder.judge.worker_process import ForkServer
from autograder.judge.workspace import Workspace
from autograder.wire.errors import CannotGrade

GUARANTEES = {
    "G1": "no exploit scores more than its honest part deserves",
    "G2": "a worker reaches nothing of ours, and the grader refuses where it could",
    "G3": "killed at any step and started again: the same ledger and gradebook",
    "G4": "a regrade gives the same",
    "G5": "nothing hidden is in what students get",
    "G6": "the reference is as fast as itself, and a planted delay is found",
    "G7": "planted contention gives no verdict, never fewer points",
    "G8": "a judge that looks too little fails its own suite",
    "G9": "one worker and eight give the same",
    "G10": "solutions get all points, stubs none, wrong answers lose theirs",
}
THRESHOLDS = ((1.0, 0.0), (1.5, 1.0), (2.0, 2.0))
SETUP = """
import torch


def work(x, rounds):
    for _ in range(rounds):
        x = torch.tanh(x @ x)
    return x


def work_and_more(x, rounds):
    return work(work(x, rounds // 2), rounds)
"""
ONCE = "def answer(x, rounds):\n    return work(x, rounds)\n"
TWICE = "def answer(x, rounds):\n    work(x, rounds)\n    return work(x, rounds)\n"
TESTS = {
    "G3": ("tests/autograder/test_recovery.py", "tests/autograder/test_ledger.py"),
    "G5": ("tests/autograder/test_leaks.py",),
    "G8": ("tests/autograder/test_broken_judges.py",),
}


@dataclass(frozen=True)
class Finding:
    """Whether a guarantee holds here, and the figure that says so."""

    promise: str
    holds: bool
    figure: str


@dataclass(frozen=True)
class Trying:
    """The course and how thoroughly it is tried."""

    course: Course
    quick: bool
    workers: int | None
    assignment: str


def verify(
    course: Course,
    *,
    quick: bool = False,
    workers: int | None = None,
    progress: Callable[[str, float, str], object] = lambda *_: None,
) -> dict[str, Finding]:
    """Try every guarantee.

    Raises:
        CannotGrade: the grader does not work here at all.
    """  # fmt: skip
    works, sentence = sandbox.state()
    if not works:
        raise CannotGrade(f"Without a sandbox nothing is guaranteed: {sentence}")
    names = course.assignments()
    trying = Trying(course, quick, workers, "a02_speculative_decoding" if len(names) > 1 else names[0])
    found = {}
    for name, promise in GUARANTEES.items():
        progress(name, 0.0, promise)
        holds, figure = _tried(name, trying)
        found[name] = Finding(promise, holds, figure)
        progress(name, 1.0, figure)
    return found


def _tried(name: str, trying: Trying) -> tuple[bool, str]:
    tries = {
        "G1": _exploits, "G2": _sandbox, "G4": _regrade, "G6": _reference_against_itself, "G7": _contention,
        "G9": _numbers_of_workers, "G10": _solutions_and_wrong_answers,
    }  # fmt: skip
    return tries[name](trying) if name in tries else _tests(trying, *TESTS[name])


def _exploits(trying: Trying) -> tuple[bool, str]:
    attempts = corpus.run_exploits(trying.course, trying.assignment if trying.quick else None, workers=trying.workers)
    found = corpus.summary(attempts)
    left_out = "; those against other assignments left out" if trying.quick else ""
    return not found["gained"], f"{found['contained']} of {found['exploits']} contained{left_out}"


def _sandbox(trying: Trying) -> tuple[bool, str]:
    job = JobFile(trying.assignment, "", "", {}, tasks=str(trying.course.package / "tasks"))
    with Workspace(trying.course.root / "lib") as space, ForkServer(space, Limits()) as fork_server:
        paths, masks = forbidden_paths(job), space.all_but(())
        call = _call(fork_server, ONCE, paths=(*paths, str(trying.course.root / "gradebook.db")), masks=masks)
        try:
            call.start()
        except NoSandbox as error:
            return False, str(error)
        finally:
            call.close()
        hole = _call(fork_server, ONCE, paths=("/usr",))
        try:
            hole.start()
        except NoSandbox:
            return True, f"{len(paths) + len(masks)} files and modules out of reach; a planted hole was refused"
        finally:
            hole.close()
    return False, "a planted hole was not noticed"


def _regrade(trying: Trying) -> tuple[bool, str]:
    jobs = _jobs(trying, speed=False)
    with judging_for(trying.course, trying.assignment) as judging:
        first = _outcomes(judging.results(jobs, workers=trying.workers))
        for job in jobs:
            judging.forget(job)
        second = _outcomes(judging.results(jobs, workers=trying.workers))
    repeats = 3 if trying.quick else 20
    points = [_timed(ONCE)[0].points for _ in range(repeats)]
    most = max(points.count(one) for one in points)
    figure = f"{len(jobs)} submissions judged twice alike; the same half point in {most} of {repeats} timings"
    return first == second and most >= math.ceil(0.99 * repeats), figure


def _numbers_of_workers(trying: Trying) -> tuple[bool, str]:
    jobs = _jobs(trying, speed=False)
    seen = []
    for workers in (1, 8):
        with judging_for(trying.course, trying.assignment) as judging:
            for job in jobs:
                judging.forget(job)
            seen.append(_outcomes(judging.results(jobs, workers=workers)))
    return seen[0] == seen[1], f"{len(jobs)} submissions, {sum(map(len, seen[0]))} checks, 1 and 8 workers"


def _reference_against_itself(trying: Trying) -> tuple[bool, str]:
    plan = replace(timing.PLAN, samples=5 if trying.quick else 15)
    same, delayed = _timed(ONCE, plan)[0].interval, _timed(TWICE, plan)[0].interval
    if same is None or delayed is None:
        return False, "the machine was too disturbed to time anything"
    figure = f"itself {same.median:.3f} ({same.low:.3f} to {same.high:.3f}); twice the work {delayed.median:.3f}"
    return same.low <= 1.0 <= same.high and abs(delayed.median / 0.5 - 1) <= 0.05, figure


def _contention(trying: Trying) -> tuple[bool, str]:
    plan = replace(timing.PLAN, samples=3, runs=1 if trying.quick else 3, block_s=0.2)
    verdict, disturbed = _timed(ONCE, plan, contended=True)
    return verdict.points is None, f"{disturbed} of {disturbed} samples discarded, points {verdict.points}"


def _solutions_and_wrong_answers(trying: Trying) -> tuple[bool, str]:
    full, none, killed, planted = [], [], 0, 0
    for name in trying.course.assignments():
        if trying.quick:
            solution, stub = _ends(replace(trying, assignment=name))
        else:
            table = kill_matrix(trying.course, name, quick=True, workers=trying.workers)
            solution, stub = table.solution, table.stub
            killed += sum(one.killed for one in table.mutants)
        whole = all(exercise.status == "graded" or exercise.not_here for exercise in solution.exercises.values())
        planted += sum(exercise_of(one) in solution.graded for one in read_mutants(trying.course, name))
        full.append(whole and solution.score == solution.max > 0)
        none.append(stub.score == 0)
    caught = f"{planted} wrong answers left out" if trying.quick else f"{killed} of {planted} wrong answers caught"
    figure = f"{sum(full)} of {len(full)} solutions full, {sum(none)} of {len(none)} stubs at 0; {caught}"
    return all(full) and all(none) and (trying.quick or killed == planted), figure


def _tests(trying: Trying, *files: str) -> tuple[bool, str]:
    """What the tests in these files say; the slow ones among them are left out of a quick try."""
    paths = [trying.course.root / file for file in files]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise CannotGrade(f"{missing[0]} is not there: verify a whole checkout of the course.")
    command = [sys.executable, "-m", "pytest", "-q", *map(str, paths), *(["-m", "not slow"] if trying.quick else [])]
    ran = subprocess.run(command, cwd=trying.course.root, capture_output=True, text=True)
    if "No module named pytest" in ran.stderr:
        raise CannotGrade("The test tools are not installed: python tools/setup_environment.py --tests")
    last = next((line for line in reversed(ran.stdout.splitlines()) if re.search(r"\d+ (passed|failed)", line)), "")
    return ran.returncode == 0, re.sub(r" in [\d.]+s.*", "", last).replace("deselected", "left out") or "no test ran"


def _jobs(trying: Trying, speed: bool) -> list[Job]:
    """Submissions of very different worth: the solution, the stub, and a wrong answer of each exercise."""
    course, name = trying.course, trying.assignment
    released, solutions = ReleasedNotebook.load(course.student_notebook(name)), solution_cells(course, name)
    short = tuple(list(solutions)[:2])
    policy = Policy(speed=speed, exercises=short if trying.quick else None)
    wrong = [one for one in read_mutants(course, name) if set(one.cells) <= set(short)][:: 4 if trying.quick else 2]
    sources = [solutions, dict(released.stubs), *(answered_cells(one, released, solutions) for one in wrong)]
    return [Job(Bundle(name, {cell: clean_source(text) for cell, text in one.items()}), policy) for one in sources]


def _ends(trying: Trying) -> tuple[Result, Result]:
    """The solution's and the stub's result on every exercise, not timed."""
    jobs = _jobs(replace(trying, quick=False), speed=False)[:2]
    with judging_for(trying.course, trying.assignment) as judging:
        solution, stub = (_or_raise(one) for one in judging.results(jobs, workers=trying.workers))
    return solution, stub


def _outcomes(found: list[Result | CannotGrade]) -> list[list[tuple[str, str, float, str]]]:
    """Everything about correctness in results."""
    return [
        [(check.name, check.status, check.score, check.message) for one in _or_raise(each).exercises.values()
         for check in one.checks]
        for each in found
    ]  # fmt: skip


def _or_raise(found: Result | CannotGrade) -> Result:
    if isinstance(found, CannotGrade):
        raise found
    return found


def _call(
    fork_server: ForkServer,
    source: str | None,
    injected: dict[str, str] | None = None,
    paths: tuple[str, ...] = (),
    masks: tuple[str, ...] = (),
) -> RemoteCall:
    program, guard = Program("answer", SETUP, injected or {}, source), Guard(paths, masks, 60.0, 600.0)
    return RemoteCall(lambda: fork_server.start(masks), program, guard, b"verify")


class _Contended(Baseline):
    """Our side with more work in every second block."""

    blocks = 0

    def block(self, inputs: range) -> list[float]:
        self.blocks += 1
        self._function = f"baseline_{self.blocks % 2}"
        return super().block(inputs)


def _timed(source: str, plan: timing.Plan = timing.PLAN, contended: bool = False) -> tuple[timing.TimingResult, int]:
    """A live timing of an answer against the work itself, and how many samples were discarded."""
    import torch

    def trial(rng: Any) -> Trial:
        return Trial(args=(torch.randn(256, 256, generator=rng()), 12), verify=lambda got: None)

    speed = Speed("answer", THRESHOLDS, {"the work": ":work", "with more work": ":work_and_more"})
    check = Check("verify", "", "answer", 2.0, trial, speed=speed)
    trials = Trials(check, b"verify")
    with (
        tempfile.TemporaryDirectory() as nothing,
        Workspace(Path(nothing)) as space,
        ForkServer(space, Limits()) as fork_server,
    ):
        ours, theirs = _call(fork_server, None, injects(check)), _call(fork_server, source)
        try:
            for call in (ours, theirs):
                call.begin("verify")
                call.start()
            reference = (_Contended if contended else Baseline)(trials, "the work", 0, ours)
            verdict = timing.judge_speed(reference, Student(trials, "answer", theirs), THRESHOLDS, plan)
        finally:
            ours.close()
            theirs.close()
    return verdict, verdict.disturbed
