"""The ledger of judge runs: which are wanted, being done, done or failed, in one SQLite file beside the gradebook.

A job's key names everything its result depends on, so a finished result is never computed again and a replay changes
nothing. Beside the jobs stands for each student what `grade` last put into the gradebook. Only the controller writes
here; a judge run leaves a result file, and the controller takes it in.
"""

import hashlib
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

QUEUED, LEASED, DONE, FAILED = "QUEUED", "LEASED", "DONE", "FAILED"
STALE_AFTER_S = 60.0

_JOBS = """
CREATE TABLE IF NOT EXISTS jobs (
    key TEXT PRIMARY KEY, assignment TEXT NOT NULL, bundle TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('QUEUED', 'LEASED', 'DONE', 'FAILED')),
    owner TEXT, heartbeat REAL, result TEXT, error TEXT, changed REAL NOT NULL
)
"""
_GRADED = """
CREATE TABLE IF NOT EXISTS graded (
    assignment TEXT NOT NULL, student TEXT NOT NULL, bundle TEXT NOT NULL, cells TEXT NOT NULL,
    key TEXT, judge TEXT, problem TEXT NOT NULL, PRIMARY KEY (assignment, student)
)
"""


@dataclass(frozen=True)
class LastGraded:
    """What `grade` last put into the gradebook for a student.

    Args:
        bundle: SHA-256 of the submission.
        cells: exercise -> a hash of its source, so that a later submission can be compared with it.
        key: the job whose result it is; None where there was none.
        judge: the version of the judge that the result came from.
        problem: why the grader failed, where it did.
    """

    bundle: str
    cells: dict[str, str]
    key: str | None = None
    judge: str | None = None
    problem: str = ""


def job_key(**parts: Any) -> str:
    """SHA-256 over everything a result depends on: bundle, judge version, environment, device, policy."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Ledger:
    """Job states. Every method is one transaction; several processes and threads may share the file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(_JOBS)
        self._database.execute(_GRADED)

    def close(self) -> None:
        self._database.close()

    def add(self, key: str, assignment: str, bundle: str) -> str:
        """Want this job; the state it is in already, or QUEUED."""
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO jobs (key, assignment, bundle, state, changed) VALUES (?, ?, ?, ?, ?)",
                (key, assignment, bundle, QUEUED, time.time()),
            )
            return str(database.execute("SELECT state FROM jobs WHERE key = ?", (key,)).fetchone()["state"])

    def lease(self, key: str) -> bool:
        """Take a job that is not done and that no living process holds."""
        with self._transaction() as database:
            row = database.execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone()
            if row is None or row["state"] == DONE or (row["state"] == LEASED and not _is_stale(row)):
                return False
            self._set(database, key, state=LEASED, owner=_me(), heartbeat=time.time(), error=None)
            return True

    def beat(self) -> int:
        """Say that this process lives, which keeps all that it holds; how many jobs that are."""
        with self._transaction() as database:
            return database.execute(
                "UPDATE jobs SET heartbeat = ? WHERE state = ? AND owner = ?", (time.time(), LEASED, _me())
            ).rowcount

    def finish(self, key: str, result: dict[str, Any]) -> bool:
        """Record a result. A job that is DONE stays as it is; False then."""
        with self._transaction() as database:
            row = database.execute("SELECT state FROM jobs WHERE key = ?", (key,)).fetchone()
            if row is None or row["state"] == DONE:
                return False
            text = json.dumps(result, allow_nan=False)
            self._set(database, key, state=DONE, result=text, error=None, owner=None)
            return True

    def fail(self, key: str, error: str) -> None:
        """The grader failed on this job; a later run tries again."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = ?, error = ?, owner = NULL, changed = ? WHERE key = ? AND state != ?",
                (FAILED, error[:4000], time.time(), key, DONE),
            )

    def release(self, key: str) -> None:
        """Give a job back that was interrupted: nothing went wrong with it."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = ?, owner = NULL WHERE key = ? AND state = ?", (QUEUED, key, LEASED)
            )

    def replace(self, key: str, result: dict[str, Any]) -> None:
        """Put another result in the place of a finished job's, in one step: there is never none."""
        with self._transaction() as database:
            self._set(database, key, state=DONE, result=json.dumps(result, allow_nan=False), error=None, owner=None)

    def forget(self, key: str) -> None:
        """Drop a result so that the job is run again. A job in someone's hands stays."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = ?, result = NULL, error = NULL WHERE key = ? AND state != ?",
                (QUEUED, key, LEASED),
            )

    def state(self, key: str) -> str | None:
        row = self._row(key)
        return row["state"] if row else None

    def error(self, key: str) -> str | None:
        row = self._row(key)
        return row["error"] if row else None

    def result(self, key: str) -> dict[str, Any] | None:
        """The result of a job that is DONE."""
        row = self._row(key)
        return json.loads(row["result"]) if row and row["state"] == DONE else None

    def note_graded(self, assignment: str, student: str, about: LastGraded) -> None:
        """Remember what the gradebook now holds of a student."""
        row = {**asdict(about), "cells": json.dumps(about.cells), "assignment": assignment, "student": student}
        names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        with self._transaction() as database:
            database.execute(f"INSERT OR REPLACE INTO graded ({names}) VALUES ({values})", row)

    def last_graded(self, assignment: str) -> dict[str, LastGraded]:
        """student -> what the gradebook holds of them, as far as `grade` put it there."""
        names = ("bundle", "cells", "key", "judge", "problem")
        with self._lock:
            rows = self._database.execute("SELECT * FROM graded WHERE assignment = ?", (assignment,)).fetchall()
        return {
            row["student"]: LastGraded(**{**{name: row[name] for name in names}, "cells": json.loads(row["cells"])})
            for row in rows
        }

    def _row(self, key: str) -> sqlite3.Row | None:
        with self._lock:
            return self._database.execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone()

    def _set(self, database: sqlite3.Connection, key: str, **columns: Any) -> None:
        columns["changed"] = time.time()
        names = ", ".join(f"{name} = :{name}" for name in columns)
        database.execute(f"UPDATE jobs SET {names} WHERE key = :key", {**columns, "key": key})

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _is_stale(row: sqlite3.Row) -> bool:
    """A lease is stale when its process is gone (on this machine, at once) or has not been heard of for a while."""
    host, pid, started = str(row["owner"]).rsplit(":", 2)
    if host == socket.gethostname() and _started(int(pid)) != started:
        return True
    return time.time() - row["heartbeat"] > STALE_AFTER_S


def _started(pid: int) -> str:
    """When a process started, in clock ticks: tells it from a later one with the same number. Empty: it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""
