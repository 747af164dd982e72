"""From a bundle to a result: the ledger where it knows, else a judge run in a subprocess of its own.

The judge is given a job file and leaves a result file; it writes nothing else, and no student's code runs here.
"""

import hashlib
import json
import os
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
from functools import cached_property
from pathlib import Path
from typing import Any

from autograder import doctor
from autograder.bundle import Bundle, course_secret, run_key
from autograder.course import CannotGrade, Course, append_durably, write_durably
from autograder.judge_process import read_result, run_judge
from autograder.ledger import DONE, INVALID, Ledger, job_key
from autograder.result import Result, parse_result
from autograder.sources import judge_version

JUDGE_COMMAND = (sys.executable, "-m", "autograder.judge")
MAX_INVALID_RUNS = 3
BEAT_EVERY_S = 5.0
Progress = Callable[[int, float, str], object]


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


_open: ContextVar["Judging | None"] = ContextVar("open judging", default=None)


@contextmanager
def judging_for(course: Course, assignment: str) -> "Iterator[Judging]":
    """The way to results for an assignment; inside another `judging_for` it is that one.

    So a whole class is graded against the versions that were there when grading began, nbgrader's part included.
    """
    outer = _open.get()
    if outer is not None and (outer.course, outer.assignment) == (course, assignment):
        yield outer
        return
    judging = Judging(course, assignment)
    token = _open.set(judging)
    try:
        yield judging
    finally:
        _open.reset(token)
        judging.close()


class Judging:
    """The way to results for one assignment. Versions and the device are read once, when it is made."""

    def __init__(self, course: Course, assignment: str) -> None:
        self.course, self.assignment = course, assignment
        with _storing():
            self._secret = course_secret(course.secret_path)
            self._ledger = Ledger(course.ledger_path)
        self._versions = {
            "judge": judge_version(course.tasks(assignment), course.root / "lib"),
            "environment": doctor.environment(),
            "device": doctor.device_model(),
        }
        self._stopped = threading.Event()

    def close(self) -> None:
        self._ledger.close()

    def key(self, job: Job) -> str:
        """Names everything the result depends on."""
        return self._key(job, self._versions)

    def _key(self, job: Job, versions: dict[str, Any]) -> str:
        run = run_key(self._secret, job.bundle)
        return job_key(bundle=job.bundle.sha256, run_key=run, policy=job.policy.key_parts(), **versions)

    def results(
        self, jobs: Iterable[Job], *, workers: int | None = None, progress: Progress = lambda *_: None
    ) -> list[Result | CannotGrade]:
        """The result of each job, in order, or why there is none; `workers` at a time (default: half the cores).

        `progress` is called with a job's index, the share of it that is done, and what was done last. Ctrl-C ends the
        runs under way.
        """

        def one(index: int, job: Job) -> Result | CannotGrade:
            try:
                return self.result(job, lambda share, what: progress(index, share, what))
            except CannotGrade as error:
                return error
            finally:
                progress(index, 1.0, "done")

        wanted = list(jobs)
        with _storing():
            for job in wanted:
                self._forget_broken(job)
        with ThreadPoolExecutor(workers or max(1, (os.cpu_count() or 2) // 2)) as pool:
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
                except BaseException as error:
                    with suppress(sqlite3.Error):
                        self._ledger.fail(key, f"{type(error).__name__}: {error}")
                    raise
        return parse_result(self._ledger.result(key), key).settled()

    def recorded(self, job: Job) -> Result | None:
        """What was last found for a job: in the ledger, else under earlier versions in the audit log; never judged."""
        key = self.key(job)
        known = self._ledger.result(key)
        if known is not None:
            return parse_result(known, key).settled()
        for run in reversed(self._earlier_runs.get(job.bundle.sha256, [])):
            if run["result"]["key"] == self._key(job, run["versions"]):
                return parse_result(run["result"], run["result"]["key"]).settled()
        return None

    @cached_property
    def _earlier_runs(self) -> dict[str, list[dict[str, Any]]]:
        """The runs in the audit log by their bundles, as it was when first asked for."""
        runs: dict[str, list[dict[str, Any]]] = {}
        if self.course.audit_path.is_file():
            with open(self.course.audit_path, encoding="utf-8") as lines:
                for run in map(json.loads, lines):
                    kept = {name: run[name] for name in ("versions", "result")}
                    runs.setdefault(run["bundle"], []).append(kept)
        return runs

    def replay(self, job: Job, progress: Callable[[float, str], object] = lambda *_: None) -> dict[str, Any]:
        """Judge a job once more from its run key and give the judge's JSON; ledger and audit stay as they are.

        Raises:
            CannotGrade: the judge failed or refused.
        """
        key = self.key(job)
        self.course.build.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="appeal-", dir=self.course.build) as place:
            folder = Path(place)
            write_durably(folder / "job.json", json.dumps(self._job_file(key, job, folder)))
            for _ in range(MAX_INVALID_RUNS):
                run_judge(
                    job.policy.judge_command, folder, self.course.root, deadline_s=job.policy.deadline_s,
                    watch=lambda: None, event=lambda event: _pass_on(event, progress),
                )  # fmt: skip
                raw = read_result(folder / "result.json")
                if not parse_result(raw, key).is_invalid:
                    break
        return raw

    def record(self, job: Job, raw: dict[str, Any]) -> None:
        """Put a replayed result in the place of the ledger's, and into the audit log.

        Raises:
            CannotGrade: the job is being judged at this moment.
        """
        key = self.key(job)
        with _storing():
            self._ledger.forget(key)
            self._ledger.add(key, self.assignment, job.bundle.sha256)
            if not self._ledger.lease(key):
                raise CannotGrade(f"Job {key[:12]} is being judged at this moment. Try again when it is done.")
            self._audit(job.bundle, raw, self._folder(key))
            self._ledger.finish(key, raw)

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
        """Run the judge on a job we hold and take its result in; a disturbed run is repeated, up to a limit.

        Killed anywhere in here, nothing is lost and nothing counted twice: each attempt has a folder of its own, what
        a judge left in it counts until the ledger has it, and the audit log has it before the ledger.
        """
        attempt = self._ledger.attempts(key)
        folder = self._folder(key) / str(attempt)
        finished = folder / "result.json"
        if not finished.is_file():  # else a run whose controller was killed left it behind: it counts
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(folder / "job.json", json.dumps(self._job_file(key, job, folder)))
            run_judge(
                job.policy.judge_command, folder, self.course.root, deadline_s=job.policy.deadline_s,
                watch=self._watch(key), event=lambda event: _pass_on(event, progress),
            )  # fmt: skip
        try:
            raw = read_result(finished)
            disturbed = parse_result(raw, key).is_invalid
        except CannotGrade:
            finished.unlink(missing_ok=True)
            raise
        again = disturbed and attempt + 1 < MAX_INVALID_RUNS
        self._audit(job.bundle, raw, folder)
        self._ledger.finish(key, raw, INVALID if again else DONE)
        shutil.rmtree(folder if again else folder.parent, ignore_errors=True)

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

    def _watch(self, key: str) -> Callable[[], None]:
        """Keeps the lease of a running job, and ends it when the whole is being stopped."""
        beaten = time.monotonic()

        def watch() -> None:
            nonlocal beaten
            if self._stopped.is_set():
                raise CannotGrade("Interrupted.")
            if time.monotonic() - beaten > BEAT_EVERY_S:
                self._ledger.beat(key)
                beaten = time.monotonic()

        return watch

    def _audit(self, bundle: Bundle, raw: Any, folder: Path) -> None:
        """Append the run to the audit log: what was judged by what under which secret, the verdict, the raw samples."""
        samples = folder / "samples.jsonl"
        measured = json.loads(samples.read_text(encoding="utf-8").splitlines()[-1]) if samples.is_file() else {}
        line = {
            **measured,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "assignment": self.assignment,
            "bundle": bundle.sha256,
            "secret": hashlib.sha256(b"id:" + self._secret).hexdigest()[:12],
            "versions": self._versions,
            "result": raw,
        }
        append_durably(self.course.audit_path, json.dumps(line, sort_keys=True))


@contextmanager
def _storing() -> Iterator[None]:
    """What cannot be written or read back, such as on a full disk, is a failure of the grader and of nobody's work."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CannotGrade(f"The ledger or a result could not be kept: {error}") from error


def _pass_on(event: dict[str, Any], progress: Callable[[float, str], object]) -> None:
    """A finished check, told to whoever watches."""
    if event.get("event") == "check" and event.get("of"):
        progress(min(1.0, event.get("done", 0) / event["of"]), str(event.get("exercise", "")))
