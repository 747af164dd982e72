"""From a bundle to a result: the ledger where it knows, else a judge run in a subprocess of its own.

The judge is given a job file and leaves a result file; it writes nothing else, and no student's code runs here.
"""

import json
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.cells.bundle import Bundle
from autograder.controller.audit import audit_line
from autograder.controller.course import Course
from autograder.controller.executor import Executor, ThisMachine
from autograder.controller.judge_process import read_result
from autograder.controller.ledger import DONE, LEASED, LastGraded, Ledger, job_key
from autograder.controller.result import Result, parse_result
from autograder.controller.run_keys import course_secret, run_key
from autograder.controller.variation import differing, until_it_varies
from autograder.judge.version import judge_version
from autograder.wire.errors import CannotGrade
from autograder.wire.files import append_durably, write_durably

JUDGE_COMMAND = (sys.executable, "-m", "autograder.judge")
BEAT_EVERY_S = 5.0
JobProgress = Callable[[int, float, str], object]


@dataclass(frozen=True)
class Policy:
    """How to judge. Part of a job's key, apart from the command that is asked to judge and its patience."""

    sandbox: bool = True
    hidden: bool = True
    speed: bool = True
    exercises: tuple[str, ...] | None = None
    judge_command: tuple[str, ...] = field(default_factory=lambda: JUDGE_COMMAND)
    deadline_s: float = 3600.0

    def key_parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("sandbox", "hidden", "speed", "exercises")}


@dataclass(frozen=True)
class Job:
    """One bundle to be judged under one policy."""

    bundle: Bundle
    policy: Policy


class Interrupted(CannotGrade):
    """The run was ended from outside: it says nothing about the judge or the work."""


_open: ContextVar["Judging | None"] = ContextVar("open judging", default=None)


@contextmanager
def judging_for(course: Course, assignment: str, executor: Executor | None = None) -> "Iterator[Judging]":
    """The way to results for an assignment; inside another `judging_for` it is that one.

    So a whole class is graded against the versions that were there when grading began, nbgrader's part included.
    """
    outer = _open.get()
    if outer is not None and (outer.course, outer.assignment) == (course, assignment):
        yield outer
        return
    judging = Judging(course, assignment, executor or ThisMachine())
    token = _open.set(judging)
    try:
        yield judging
    finally:
        _open.reset(token)
        judging.close()


class Judging:
    """The way to results for one assignment. Versions and the device are read once, when it is made."""

    def __init__(self, course: Course, assignment: str, executor: Executor) -> None:
        self.course, self.assignment, self._executor = course, assignment, executor
        with _storing():
            self._secret = course_secret(course.secret_path)
            self._ledger = Ledger(course.ledger_path)
        self._versions = {
            "judge": judge_version(course.tasks(assignment), course.root / "lib"),
            **executor.versions(),
        }
        self._beaten, self._stopped = 0.0, threading.Event()

    def close(self) -> None:
        self._ledger.close()

    def key(self, job: Job) -> str:
        """Names everything the result depends on."""
        run = run_key(self._secret, job.bundle)
        return job_key(bundle=job.bundle.sha256, run_key=run, policy=job.policy.key_parts(), **self._versions)

    def results(
        self, jobs: Iterable[Job], *, workers: int | None = None, again: bool = False,
        progress: JobProgress = lambda *_: None,
    ) -> list[Result | CannotGrade]:  # fmt: skip
        """The result of each job, in order, or why there is none; `workers` at a time (default: the executor's).

        `progress` is called with a job's index, the share of it that is done, and what was done last. Ctrl-C ends the
        runs under way; what is on record of those and of the ones that wait stays as it is.

        Args:
            again: judge anew also what the ledger knows; equal jobs once.
        """

        def one(index: int, job: Job) -> Result | CannotGrade:
            try:
                if again and first[self.key(job)] == index and self.recorded(job) is not None:
                    self._judge_again(job, lambda share, what: progress(index, share, what))
                return self.result(job, lambda share, what: progress(index, share, what))
            except CannotGrade as error:
                return error
            finally:
                progress(index, 1.0, "done")

        wanted = list(jobs)
        first = {self.key(job): index for index, job in reversed(list(enumerate(wanted)))}
        with _storing():
            for job in wanted:
                self._forget_broken(job)
        with ThreadPoolExecutor(workers or self._executor.parallel) as pool:
            futures = [pool.submit(one, index, job) for index, job in enumerate(wanted)]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise

    def result(self, job: Job, progress: Callable[[float, str], object] = lambda *_: None) -> Result:
        """The result of one job, judged now unless the ledger has it.

        Raises:
            CannotGrade: the judge failed or refused.
        """
        key = self.key(job)
        with _storing():
            self._ledger.add(key, self.assignment, job.bundle.sha256)
            while self._ledger.state(key) != DONE:
                if not self._ledger.lease(key):
                    time.sleep(0.5)  # in another thread's or process's hands
                    continue
                try:
                    self._run_leased(key, job, progress)
                except (Interrupted, KeyboardInterrupt):
                    with suppress(sqlite3.Error):
                        self._ledger.release(key)
                    raise
                except BaseException as error:
                    with suppress(sqlite3.Error):
                        self._ledger.fail(key, f"{type(error).__name__}: {error}")
                    raise
        return parse_result(self._ledger.result(key), key)

    def recorded(self, job: Job) -> Result | None:
        """What the ledger has for a job; never judged."""
        return self.result_of(self.key(job))

    def result_of(self, key: str) -> Result | None:
        """The result that the ledger has under a key, of this judge or of an earlier one."""
        with _storing():
            known = self._ledger.result(key)
        return parse_result(known, key) if known is not None else None

    def last_graded(self) -> dict[str, LastGraded]:
        """student -> what `grade` last put into the gradebook."""
        with _storing():
            return self._ledger.last_graded(self.assignment)

    def note_graded(self, student: str, bundle: Bundle, key: str | None, problem: str = "") -> None:
        """Remember what the gradebook now holds of a student: the result under `key`, or nothing and why."""
        judge = self._versions["judge"] if key else None
        with _storing():
            about = LastGraded(bundle.sha256, bundle.cell_hashes(), key, judge, problem)
            self._ledger.note_graded(self.assignment, student, about)

    def changed_cells(self, student: str, bundle: Bundle) -> set[str]:
        """The exercises whose code is another than when the student was last graded."""
        before, now = self.last_graded().get(student), bundle.cell_hashes()
        return {name for name, found in now.items() if before and before.cells.get(name, found) != found}

    def replay(self, job: Job, progress: Callable[[float, str], object] = lambda *_: None) -> dict[str, Any]:
        """Judge a job once more from its run key and give the judge's JSON; ledger and audit stay as they are.

        Raises:
            CannotGrade: the judge failed or refused.
        """
        with self._replayed(job, progress) as (raw, _):
            return raw

    def replayed(self, job: Job, progress: Callable[[float, str], object] = lambda *_: None) -> Result:
        """The same, parsed."""
        return parse_result(self.replay(job, progress), self.key(job))

    def _judge_again(self, job: Job, progress: Callable[[float, str], object]) -> None:
        """Replace what the ledger knows of a job when its new result is there, not before.

        Where it differs and the submission is what varies, the old one stands and says so: nobody gets to throw a coin
        again.
        """
        key, old = self.key(job), self.recorded(job)
        with self._replayed(job, progress) as (raw, folder), _storing():
            self._audit(job.bundle, raw, folder)
            new, varies = parse_result(raw, key), list(old.varies) if old else []
            if old is not None and not varies and differing([old, new]):
                varies = until_it_varies(new, lambda: self.replayed(job, progress))
            self._ledger.replace(key, {**(self._ledger.result(key) or raw), "varies": varies} if varies else raw)

    @contextmanager
    def _replayed(self, job: Job, progress: Callable[[float, str], object]) -> Iterator[tuple[dict[str, Any], Path]]:
        """The judge's JSON of one more run, and the folder that the run left it in."""
        key = self.key(job)
        self.course.build.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="again-", dir=self.course.build) as place:
            folder = Path(place)
            with _storing():
                write_durably(folder / "job.json", json.dumps(self._job_file(key, job, folder)))
                self._executor.run(
                    job.policy.judge_command, folder, self.course.root, deadline_s=job.policy.deadline_s,
                    watch=self._stop_if_asked, event=lambda event: _pass_on(event, progress),
                )  # fmt: skip
                raw = read_result(folder / "result.json")
                parse_result(raw, key)
            yield raw, folder

    def record(self, job: Job, raw: dict[str, Any]) -> None:
        """Put a replayed result in the place of the ledger's, and into the audit log.

        Raises:
            CannotGrade: the job is being judged at this moment.
        """
        key = self.key(job)
        with _storing():
            if self._ledger.add(key, self.assignment, job.bundle.sha256) == LEASED:
                raise CannotGrade(f"Job {key[:12]} is being judged at this moment. Try again when it is done.")
            self._audit(job.bundle, raw, self._folder(key))
            self._ledger.replace(key, raw)

    def forget(self, job: Job) -> None:
        """Drop what is known of a job, so that it is judged again."""
        key = self.key(job)
        shutil.rmtree(self._folder(key), ignore_errors=True)
        with _storing():
            self._ledger.forget(key)

    def _forget_broken(self, job: Job) -> None:
        """Have a job judged again in which the grader itself failed; its other exercises were kept till then."""
        key = self.key(job)
        known = self._ledger.result(key)
        if known is not None and parse_result(known, key).grader_failed:
            self._ledger.forget(key)

    def _folder(self, key: str) -> Path:
        return self.course.build / "jobs" / key[:24]

    def _run_leased(self, key: str, job: Job, progress: Callable[[float, str], object]) -> None:
        """Run the judge on a job we hold and take its result in.

        Killed anywhere in here, nothing is lost and nothing counted twice: what a judge left in the job's folder counts
        until the ledger has it, and the audit log has it before the ledger.
        """
        folder = self._folder(key)
        finished = folder / "result.json"
        if not finished.is_file():  # else a run whose controller was killed left it behind: it counts
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(folder / "job.json", json.dumps(self._job_file(key, job, folder)))
            self._executor.run(
                job.policy.judge_command, folder, self.course.root, deadline_s=job.policy.deadline_s,
                watch=self._watch, event=lambda event: _pass_on(event, progress),
            )  # fmt: skip
        try:
            raw = read_result(finished)
            parse_result(raw, key)
        except CannotGrade:
            finished.unlink(missing_ok=True)
            raise
        self._audit(job.bundle, raw, folder)
        self._ledger.finish(key, raw)
        shutil.rmtree(folder, ignore_errors=True)

    def _job_file(self, key: str, job: Job, folder: Path) -> dict[str, Any]:
        return {
            "assignment": self.assignment,
            "key": key,
            "run_key": run_key(self._secret, job.bundle),
            "cells": dict(job.bundle.cells),
            "exercises": list(job.policy.exercises) if job.policy.exercises else None,
            "hidden": job.policy.hidden,
            "sandbox": job.policy.sandbox,
            "limits": {} if job.policy.speed else {"speed": False},
            "tasks": str(self.course.package / "tasks"),
            "lib": str(self.course.root / "lib"),
            "audit": str(folder / "samples.jsonl"),
        }

    def _watch(self) -> None:
        """Keeps the leases of all running jobs, and ends them when the whole is being stopped."""
        self._stop_if_asked()
        if time.monotonic() - self._beaten > BEAT_EVERY_S:
            self._beaten = time.monotonic()
            self._ledger.beat()

    def _stop_if_asked(self) -> None:
        if self._stopped.is_set():
            raise Interrupted("Interrupted.")

    def _audit(self, bundle: Bundle, raw: Any, folder: Path) -> None:
        """Append the run to the audit log."""
        append_durably(self.course.audit_path, audit_line(bundle, self._secret, self._versions, raw, folder))


@contextmanager
def _storing() -> Iterator[None]:
    """What cannot be written or read back, such as on a full disk, is a failure of the grader and of nobody's work."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CannotGrade(f"The ledger or a result could not be kept: {error}") from error


def _pass_on(event: dict[str, Any], progress: Callable[[float, str], object]) -> None:
    """A finished check, or what a job waits for, told to whoever watches."""
    if event.get("event") == "queue":
        progress(0.0, str(event.get("what", "")))
    elif event.get("event") == "check" and event.get("of"):
        progress(min(1.0, event.get("done", 0) / event["of"]), str(event.get("exercise", "")))
