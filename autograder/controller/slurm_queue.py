"""What Slurm says of its jobs and of its partitions, by the commands that every cluster has."""

import getpass
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any

ASK_EVERY_S = 2.0
ANSWER_WITHIN_S = 30.0
STALE_AFTER_S = 10.0
ACTIVE = frozenset({"PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD",
                    "REQUEUE_FED", "SPECIAL_EXIT", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"})  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One task of an array in Slurm's queue: its number there, its state, and what it waits for."""

    number: str
    state: str
    reason: str

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


class Queue:
    """The tasks of this user, asked for at most every two seconds, however many threads want to know."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = self._answered = -1e9
        self._tasks: dict[tuple[str, int], Task] = {}

    def task(self, name: str, index: int, since: float) -> Task | None:
        """A task by the name of its array; None where Slurm has none.

        Args:
            since: a time of `time.monotonic()`; the answer is later, and not older than a few seconds.

        Raises:
            LookupError: Slurm does not answer.
        """
        with self._lock:
            if time.monotonic() - self._asked > ASK_EVERY_S:
                self._asked = time.monotonic()
                self._ask()
            if self._answered < max(since, time.monotonic() - STALE_AFTER_S):
                raise LookupError("Slurm does not answer")
            return self._tasks.get((name, index))

    def _ask(self) -> None:
        began = time.monotonic()
        listed = ask("squeue", "--noheader", "--array", "--states=all", f"--user={getpass.getuser()}",
                     "--format=%A|%F|%K|%T|%r|%j")  # fmt: skip
        if listed is None:
            return
        tasks: dict[tuple[str, int], Task] = {}
        for line in listed.splitlines():
            number, array, index, state, reason, name = line.split("|", 5)
            is_array = index.isdigit()
            task = Task(f"{array}_{index}" if is_array else number, state, reason)
            tasks[name, int(index) if is_array else 0] = task
        self._tasks, self._answered = tasks, began


def cancel(number: str) -> None:
    """End a task."""
    ask("scancel", number)


def ask(*command: str) -> str | None:
    """What a command of Slurm prints; None where it is not there, fails, or does not answer in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def cluster() -> dict[str, Any]:
    """What the cluster has: {available, command, version, partitions, state}."""
    command = shutil.which("sbatch")
    if command is None:
        return {"available": False, "command": None, "version": None, "partitions": [],
                "state": "none: judge runs are started on this machine"}  # fmt: skip
    version = (ask("sinfo", "--version") or "").strip() or None
    listed = ask("sinfo", "--noheader", "--format=%R|%a|%D|%c|%m|%G|%l|%T") if version else None
    if listed is None:
        return {"available": False, "command": command, "version": version, "partitions": [],
                "state": f"{command} is installed, but no controller answers"}  # fmt: skip
    names = ("name", "up", "nodes", "cpus", "memory_mb", "gpus", "time_limit", "state")
    partitions = [dict(zip(names, line.split("|"), strict=True)) for line in listed.splitlines()]
    said = "; ".join(
        f"{one['name']} has {one['nodes']} nodes ({one['state']}) of {one['cpus']} CPUs, {one['memory_mb']} MB, "
        f"{'no GPU' if one['gpus'] == '(null)' else one['gpus']}, for at most {one['time_limit']}"
        for one in partitions
    )
    return {"available": True, "command": command, "version": version, "partitions": partitions,
            "state": f"{version}: {said}"}  # fmt: skip
