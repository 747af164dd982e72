"""The trusted judge: `python -m autograder.judge JOB.json RESULT.json [--progress FD]`.

It makes the secret inputs, holds what is expected, the clock and the verdict. A student's code runs only in workers.
The result is written whole or not at all; a bug in a check of ours never costs a student points.
"""

import argparse
import contextlib
import json
import math
import os
import resource
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from autograder.checks import Check, CheckFailed, Draws, Exercise, load_task, run_check
from autograder.checks.calls import OwnTimeUp
from autograder.checks.graded_cell import program_of
from autograder.checks.task_files import HIDDEN
from autograder.judge.job import BadJob, JobFile, JobLimits
from autograder.judge.program import Guard, Program
from autograder.judge.remote_call import RemoteCall
from autograder.judge.sandbox import Limits, NoSandbox
from autograder.judge.speed import injects, time_check
from autograder.judge.version import judge_version
from autograder.judge.worker_process import ForkServer
from autograder.judge.workspace import PACKAGE, Workspace
from autograder.runtime.device import CPU, device_for, missing
from autograder.wire.causes import GATED
from autograder.wire.text import one_line

MAX_OWN_S = 60.0  # of CPU time that the judge itself spends on a check
MAX_MEMORY = 8 * 2**30  # of the judge itself: two small tensors of a student's may make a huge one of ours
MAX_LOG = 32_768  # characters of an exercise: what students print must not make a result too large to be read
MAX_MESSAGE = 1500
SPEED_S = 300.0  # for all timed calls of one exercise, beside its deadline


class Judge:
    """Judges one job.

    Args:
        job: what to judge.
        progress: called with one event at a time.

    Raises:
        BadJob: the task, an exercise or a limit of it does not exist.
    """

    def __init__(self, job: JobFile, progress: Callable[[dict[str, Any]], object] = lambda event: None) -> None:
        self.job, self._progress = job, progress
        try:
            self.task = load_task(Path(job.tasks) / job.assignment, hidden=job.hidden)
            self._key = bytes.fromhex(job.run_key)
        except (OSError, ValueError, KeyError) as error:
            raise BadJob(f"{job.assignment}: {error}") from None
        self._exercises = self._wanted()
        known = {one.name for one in fields(JobLimits)}
        unknown = job.limits.keys() - known - Limits.__dataclass_fields__.keys()
        if unknown:
            raise BadJob(f"unknown limit {sorted(unknown)[0]!r}")
        self._limits = Limits.of(job.limits)
        self._own = JobLimits(**{name: value for name, value in job.limits.items() if name in known})
        self._round_trips: list[float] = []
        self._done = 0
        self._logs: list[str] = []  # of the exercise being judged

    def _wanted(self) -> list[Exercise]:
        wanted = list(self.task.exercises) if self.job.exercises is None else self.job.exercises
        unknown = (set(wanted) | self.job.cells.keys()) - self.task.exercises.keys()
        if unknown:
            raise BadJob(f"{self.job.assignment} has no exercise {sorted(unknown)[0]!r}")
        return [exercise for exercise in self.task.exercises.values() if exercise.id in wanted]

    def run(self) -> dict[str, Any]:
        """Judge all exercises and give the result file's content; raises NoSandbox."""
        began = time.monotonic()
        names = [exercise.id for exercise in self._exercises]
        self._progress({"event": "start", "exercises": names, "checks": self._total()})
        with (
            Workspace(Path(self.job.lib)) as workspace,
            ForkServer(workspace, self._limits, self.job.sandbox) as fork_server,
        ):
            found = {exercise.id: self._on_its_device(fork_server, exercise) for exercise in self._exercises}
        seconds = round(time.monotonic() - began, 3)
        self._progress({"event": "end", "seconds": seconds})
        result = {
            "key": self.job.key,
            "judge_version": judge_version(Path(self.job.tasks) / self.task.name, Path(self.job.lib)),
            "sandbox": "bubblewrap" if self.job.sandbox else "none (weaker: asked for by flag)",
            "exercises": found,
            "seconds": seconds,
            "round_trip_us": max(self._round_trips, default=None),
        }
        self._audit(result)
        return result

    def _total(self) -> int:
        return sum(len(self.task.checks[exercise.id]) for exercise in self._exercises)

    def _on_its_device(self, fork_server: ForkServer, exercise: Exercise) -> dict[str, Any]:
        """Judge an exercise on the device that it needs; where that is not here, none of its checks is graded."""
        device = device_for(exercise.needs)
        if device is CPU:
            return self._exercise(fork_server, exercise)
        if device is not None:
            with (
                device.reserved(),
                ForkServer(fork_server.workspace, fork_server.limits, fork_server.sandboxed, device) as own,
            ):
                return self._exercise(own, exercise)
        rows = [_row(one, 0, "not_graded", missing(exercise.needs)) for one in self.task.checks[exercise.id]]
        for row in rows:
            self._tell(exercise, row)
        return {"score": 0, "max": 0, "status": "not_graded", "checks": rows, "log": ""}

    def _tell(self, exercise: Exercise, row: dict[str, Any]) -> None:
        self._done += 1
        event = {"event": "check", "exercise": exercise.id, "name": row["name"], "status": row["status"]}
        self._progress({**event, "done": self._done, "of": self._total()})

    def _exercise(self, fork_server: ForkServer, exercise: Exercise) -> dict[str, Any]:
        """Judge an exercise; where something of ours breaks, be it on reading the cell, this one is not graded."""
        status, failure, self._logs = "graded", "", []
        try:
            rows = self._rows(fork_server, exercise)
        except NoSandbox:
            raise
        except Exception:
            status, failure = "not_graded", traceback.format_exc()
            message = "The grader itself failed in this exercise: your teacher has to look at it."
            rows = [_row(one, 0, "not_graded", message) for one in self.task.checks[exercise.id]]
        counted = [row for row in rows if row["status"] != "not_graded"]
        score, best = sum(row["points"] for row in counted), sum(row["max"] for row in counted)
        said = "\n".join(filter(None, self._logs))[:MAX_LOG]
        log = "\n".join(text for text in (said, failure[-MAX_LOG:]) if text)  # a failure of ours has the last word
        return {"score": score, "max": best, "status": status, "checks": rows, "log": log}

    def _rows(self, fork_server: ForkServer, exercise: Exercise) -> list[dict[str, Any]]:
        """A row for each check of an exercise, the timed ones last."""
        student = self._call(fork_server, exercise, exercise.deadline_s)
        rows: list[dict[str, Any]] = []
        try:
            for one in sorted(self.task.checks[exercise.id], key=lambda one: one.speed is not None):
                if self.job.cells.get(exercise.id) is None:
                    said = f"There is no cell `{exercise.id}`: it was deleted, or its name was lost."
                    row = _row(one, 0, "failed", said)
                elif one.speed is None:
                    row = self._check(student, one)
                else:
                    student.close()  # what it left running would slow the machine down for whomever it likes
                    correct = all(row["status"] == "passed" for row in rows)
                    row = self._speed(fork_server, exercise, one, correct)
                rows.append(row)
                self._tell(exercise, row)
        finally:
            student.close()
            self._logs += student.logs
            self._round_trips += [] if student.round_trip_us is None else [student.round_trip_us]
        return rows

    def _check(self, student: RemoteCall, one: Check) -> dict[str, Any]:
        student.begin(one.name, one.deadline_s)
        with _own_time(MAX_OWN_S):
            outcome = run_check(one, student, Draws(self._key, one.name))
        student.logs += [outcome.log] if outcome.log else []
        return _row(one, one.points * outcome.passed, "passed" if outcome.passed else "failed", outcome.message)

    def _speed(self, fork_server: ForkServer, exercise: Exercise, one: Check, correct: bool) -> dict[str, Any]:
        """Time the student in a fresh worker against a worker of ours."""
        if not correct:
            return _row(one, 0, "failed", GATED)
        if not self._own.speed:
            return _row(one, 0, "not_graded", "Speed was not measured in this run.")
        student = self._call(fork_server, exercise, SPEED_S)
        ours = self._call(fork_server, replace(exercise, injects=injects(one)), math.inf, cell=False)
        try:
            outcome = time_check(one, self._key, student, ours)
        except CheckFailed as failure:
            return _row(one, 0, "failed", f"In a timed call: {failure}")
        finally:
            for call in (student, ours):
                call.close()
            self._logs += [*student.logs, *ours.logs]
        status = "not_graded" if outcome.points is None else "passed" if outcome.points > 0 else "failed"
        return _row(one, outcome.points or 0, status, outcome.sentence, outcome.details)

    def _call(self, fork_server: ForkServer, exercise: Exercise, total_s: float, cell: bool = True) -> RemoteCall:
        source = self.job.cells.get(exercise.id) if cell else None
        if source is not None:
            source = program_of(source, exercise)
        program = Program(exercise.id, self.task.setup, exercise.injects, source, bool(exercise.host))
        masks = fork_server.workspace.all_but(exercise.shows) if cell else ()
        guard = Guard(forbidden_paths(self.job), masks, self._own.check_s, total_s)
        return RemoteCall(lambda: fork_server.start(masks), program, guard, self._key, fork_server.device)

    def _audit(self, result: dict[str, Any]) -> None:
        """Append one line with everything: limits, samples, verdicts."""
        if self.job.audit is None:
            return
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "assignment": self.job.assignment}
        line |= {"limits": asdict(self._limits) | asdict(self._own), "result": result}
        with open(self.job.audit, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(line, sort_keys=True) + "\n")


@contextlib.contextmanager
def _own_time(seconds: float) -> Iterator[None]:
    """The judge's own CPU time in a check: what a function returned may be made to take long to look at.

    It comes as a result that cannot be used, and in the midst of a call as one that kept the judge busy; where nothing
    was called yet it is a bug of ours.
    """

    def interrupt(*_: object) -> None:
        raise OwnTimeUp(f"looking at it took more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _row(
    one: Check, points: float, status: str, message: str, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    row = {"name": one.name, "title": one.title, "points": points, "max": one.points, "status": status}
    return {**row, "message": one_line(message, MAX_MESSAGE)} | ({"details": dict(details)} if details else {})


def forbidden_paths(job: JobFile) -> tuple[str, ...]:
    """Files of the judge's side that a worker must not be able to open: the self-test tries them."""
    root, tasks = PACKAGE.parent, Path(job.tasks) / job.assignment
    listed = [
        PACKAGE / "judge" / "judge.py",
        tasks,
        tasks / HIDDEN,
        root / "gradebook.db",
        root / ".course_secret",
        root / ".git",
    ]
    listed += [Path.home() / name for name in (".ssh", ".bashrc", ".profile")]
    listed += [Path("/etc/passwd"), Path("/etc/shadow"), Path(job.lib)]
    return tuple(str(path) for path in listed)


def write_whole(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file so that nobody ever sees a part of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")  # two nodes may share it
    with open(temporary, "w", encoding="utf-8") as handle:
        json.dump(content, handle, allow_nan=False)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def _bound_memory() -> None:
    """Beyond its limit an allocation fails, and with it the check; else the kernel would end whomever it likes."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    own = MAX_MEMORY if most == resource.RLIM_INFINITY else min(MAX_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_DATA, (own, most))


def main(arguments: list[str] | None = None) -> int:
    """Judge a job file; returns 0, 2 for a bad job, 3 where this machine cannot hold a worker."""
    parser = argparse.ArgumentParser(prog="python -m autograder.judge", description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument(
        "--progress", type=int, default=2, metavar="FD", help="where a line of JSON for each event goes"
    )
    options = parser.parse_args(arguments)

    def progress(event: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody listens any more; the result still counts
            os.write(options.progress, json.dumps(event).encode() + b"\n")

    torch.set_num_threads(1)
    _bound_memory()
    try:
        write_whole(options.result, Judge(JobFile.read(options.job), progress).run())
    except BadJob as error:
        print(f"bad job: {error}", file=sys.stderr)
        return 2
    except NoSandbox as error:
        print(f"refused: {error}", file=sys.stderr)
        return 3
    return 0
