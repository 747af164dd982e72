"""Judge runs as tasks of Slurm arrays, submitted through submitit.

submitit writes the batch script and submits it; what runs on the node is `autograder.judge.node`, which needs neither
submitit nor pickles, and what comes back are files in the job's folder. So nothing is ever unpickled here. The folder
of each task says which array it belongs to before that array is submitted: a controller that was killed at any moment
finds its tasks again, by name, in Slurm's queue or finished, and submits none twice.
"""

import json
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from submitit import SlurmExecutor

from autograder.controller.course import Course
from autograder.controller.executor import Versions
from autograder.controller.judge_process import failed, tell
from autograder.controller.slurm_queue import ASK_EVERY_S, Queue, Task, cancel
from autograder.judge.job import PACKAGE
from autograder.wire.errors import CannotGrade
from autograder.wire.files import write_durably
from autograder.wire.text import last_line

GATHER_S = 0.5  # what is wanted within it goes into one array
POLL_S = 0.5
FILES_WITHIN_S = 60.0  # after a task's end: a shared file system may show a file late
LOST_AFTER_S = 4.0  # were it not lost, the next task would find its result
PATIENCE_S = 900.0  # with a controller of Slurm that does not answer
ATTEMPTS = 4
NOT_LOST = {  # else it is submitted again
    "TIMEOUT": "Raise --time.",
    "DEADLINE": "Raise --time.",
    "OUT_OF_MEMORY": "Raise --memory.",
    "FAILED": "The judge was killed, or could not be started.",
}
UNREACHED = "Unable to contact slurm controller"


@dataclass(frozen=True)
class SlurmOptions:
    """What each task asks of Slurm.

    Args:
        array_size: tasks in Slurm's hands at a time.
        python: the interpreter on the nodes; None where it is this one.
        sandbox: whether a node must be able to hold students' code, which is asked before anything is submitted.
        sbatch: other options of sbatch, without the dashes.
    """

    partition: str | None = None
    constraint: str | None = None
    gpus: int = 0
    cpus: int = 2
    memory_gb: float = 8
    minutes: int = 60
    array_size: int = 64
    python: str | None = None
    sandbox: bool = True
    sbatch: dict[str, str] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """As submitit names them."""
        chosen = {"partition": self.partition, "constraint": self.constraint, "gpus_per_node": self.gpus or None}
        more = {"requeue": True, **self.sbatch}
        return {
            "time": self.minutes, "cpus_per_task": self.cpus, "mem": f"{1024 * self.memory_gb:.0f}M",
            "array_parallelism": self.array_size, "use_srun": False, "stderr_to_stdout": True,
            "additional_parameters": more, **{name: value for name, value in chosen.items() if value is not None},
        }  # fmt: skip


class _Arrays(SlurmExecutor):
    """submitit's executor, with our program in the place of the one that unpickles."""

    command = ""

    @property
    def _submitit_command_str(self) -> str:
        return self.command


@dataclass(frozen=True)
class _Wanted:
    """A folder that waits for its array."""

    folder: Path
    command: list[str]
    cwd: str
    place: "Future[tuple[str, int]]" = field(default_factory=Future)


class Slurm:
    """An executor on a cluster that shares the course's file system."""

    def __init__(self, course: Course, options: SlurmOptions) -> None:
        self.options, self._root, self._place = options, course.root, course.build / "slurm"
        self._python = options.python or sys.executable
        self._queue, self._lock, self._submitting = Queue(), threading.Lock(), threading.Lock()
        self._waiting: list[_Wanted] = []
        self._versions: Versions | None = None

    @property
    def parallel(self) -> int:
        return self.options.array_size

    def versions(self) -> Versions:
        """Of the first node that Slurm gives; all others must be like it."""
        if self._versions is None:
            folder = self._place / f"node-{uuid.uuid4().hex[:12]}"
            folder.mkdir(parents=True)
            said = self._finished(folder, [], self._root, lambda: None, lambda _: None)
            if self.options.sandbox and not said["sandbox"]:
                raise CannotGrade(f"A node of the cluster cannot hold students' code: {said['state']}")
            self._versions = {name: said[name] for name in ("environment", "device")}
            shutil.rmtree(folder, ignore_errors=True)
        return self._versions

    def run(
        self, command: Sequence[str], folder: Path, cwd: Path, *, deadline_s: float,
        watch: Callable[[], object], event: Callable[[dict[str, Any]], object],
    ) -> None:  # fmt: skip
        """As `run_judge`; the deadline is Slurm's limit of time, since a task may wait in the queue for hours."""
        if (folder / "exit.json").is_file():  # of a run that failed: this is another try
            (folder / "slurm.json").unlink(missing_ok=True)
        here = [self._python if one == sys.executable else one for one in command]
        said = self._finished(folder, here, cwd, watch, event)
        if "said" in said:
            raise CannotGrade(said["said"])
        if said["status"] != 0 and not (folder / "result.json").is_file():  # else one of two that ran at once left it
            raise failed(said["status"], folder / "judge.log")

    def _finished(
        self, folder: Path, command: list[str], cwd: Path, watch: Callable[[], object],
        event: Callable[[dict[str, Any]], object],
    ) -> dict[str, Any]:  # fmt: skip
        """What a task left in its exit.json: one that is under way or else a new one, and again where it was lost."""
        if place := _place_of(folder):  # of a controller that was killed
            self._attended(folder, place, watch, event)
            if said := _exit_of(folder):
                return said
        task = None
        for _ in range(ATTEMPTS):
            task = self._attended(folder, self._submit(folder, command, cwd), watch, event)
            if said := _exit_of(folder):
                return said
            if task is not None and task.state in NOT_LOST:
                log = self._place / f"{task.number}_0_log.out"
                raise CannotGrade(f"Slurm ended task {task.number}: {task.state}. {NOT_LOST[task.state]} {_last(log)}")
        raise CannotGrade(f"Slurm lost the judge's task {ATTEMPTS} times, at last as {task}.")

    def _attended(
        self, folder: Path, place: tuple[str, int], watch: Callable[[], object],
        event: Callable[[dict[str, Any]], object],
    ) -> Task | None:  # fmt: skip
        """Wait for a task's end, and pass on its progress; the task as Slurm saw it last, None where it knows none."""
        since = heard = time.monotonic()
        last, ended, read = None, None, 0
        try:
            while not (folder / "exit.json").is_file():
                watch()
                read = _progress(folder, read, event)
                try:
                    task = self._queue.task(*place, since)
                except LookupError:
                    if time.monotonic() - heard > PATIENCE_S:
                        raise CannotGrade(f"Slurm has not answered for {PATIENCE_S / 60:.0f} minutes.") from None
                else:
                    heard, last = time.monotonic(), task or last
                    if task is not None and task.is_active:
                        ended = None
                        if task.state != "RUNNING":
                            event({"event": "queue", "what": f"waits in Slurm's queue: {task.reason}"})
                    elif last is None:
                        return None
                    else:
                        ended = ended or time.monotonic()
                        if time.monotonic() - ended > (FILES_WITHIN_S if last.state == "COMPLETED" else LOST_AFTER_S):
                            return last
                time.sleep(POLL_S)
            _progress(folder, read, event)
            return last
        except BaseException:
            (folder / "slurm.json").unlink(missing_ok=True)
            if last is not None and last.is_active:
                cancel(last.number)
            raise

    def _submit(self, folder: Path, command: list[str], cwd: Path) -> tuple[str, int]:
        """Submit a task, in one array with what else is wanted at this moment."""
        wanted = _Wanted(folder, command, str(cwd))
        with self._lock:
            leads = not self._waiting
            self._waiting.append(wanted)
        if leads:
            time.sleep(GATHER_S)
            with self._lock:
                batch, self._waiting = self._waiting, []
            try:
                self._map_array(batch)
            except BaseException as error:
                for one in batch:
                    if not one.place.done():
                        one.place.set_exception(error)
        return wanted.place.result()

    def _map_array(self, batch: list[_Wanted]) -> None:
        name = f"autograder-{uuid.uuid4().hex}"
        tasks = [{"folder": str(one.folder), "command": one.command, "cwd": one.cwd} for one in batch]
        array = self._place / f"{name}.json"
        write_durably(array, json.dumps({"name": name, "versions": self._versions, "tasks": tasks}))
        for index, one in enumerate(batch):
            (one.folder / "exit.json").unlink(missing_ok=True)
            write_durably(one.folder / "slurm.json", json.dumps({"name": name, "index": index}))
        program = f"{quote(self._python)} -m autograder.judge.node {quote(str(array))}"
        with self._submitting:
            arrays = _Arrays(self._place)
            arrays.command = f"cd {quote(str(PACKAGE.parent))} && exec {program}"
            try:
                arrays.update_parameters(job_name=name, **self.options.parameters())
                _patiently(lambda: arrays.map_array(_nothing, range(len(batch))))
            except (RuntimeError, ValueError, OSError) as error:
                said = str(error).strip().splitlines() or [type(error).__name__]
                raise CannotGrade(f"Slurm did not take the tasks: {said[-1]}") from None
        for index, one in enumerate(batch):
            one.place.set_result((name, index))


def _nothing(_: int) -> None:
    """What submitit pickles; nobody unpickles it."""


def _patiently(submit: Callable[[], object]) -> None:
    """Submit; again while Slurm's controller cannot be reached at all."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            submit()
            return
        except RuntimeError as error:
            if UNREACHED not in str(error) or time.monotonic() > until:
                raise
        time.sleep(ASK_EVERY_S)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _last(log: Path) -> str:
    try:
        return f"{last_line(log.read_text(encoding='utf-8', errors='replace'))} ({log})"
    except OSError:
        return ""


def _place_of(folder: Path) -> tuple[str, int] | None:
    """The array and the place in it that a folder was submitted with."""
    found = _read(folder / "slurm.json")
    return (found["name"], found["index"]) if found else None


def _exit_of(folder: Path) -> dict[str, Any] | None:
    return _read(folder / "exit.json")


def _progress(folder: Path, read: int, event: Callable[[dict[str, Any]], object]) -> int:
    """Pass on what a judge has written since; how far it was read. It is shorter where the judge began anew."""
    try:
        with open(folder / "progress.jsonl", "rb") as handle:
            begin = read if read <= handle.seek(0, 2) else 0
            handle.seek(begin)
            new = handle.read()
    except OSError:
        return read
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.splitlines():
        tell(line, event)
    return begin + len(whole)
