"""A running worker as the judge holds it: started and locked in, timed and frozen from outside, ended whole."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograder.protocol import Channel, Closed, create_shared_memory, map_shared_memory
from autograder.sandbox import (
    INSTALL,
    NOBODY,
    Limits,
    NoSandbox,
    bubblewrap,
    environment,
    python_command,
    require_bubblewrap,
    user_namespace,
)
from autograder.seccomp import UnknownMachine, filter_for_this_machine
from autograder.workspace import Workspace, allowed_packages

START_S = 120.0
LOG_BYTES = 16_384


class WorkerProcess:
    """A running worker: its channel, its two arenas, its clock and its end.

    Start it from the main thread only: it dies with the thread that started it.

    Args:
        workspace: what it sees.
        masks: modules of lib that are masked.
        sandboxed: in bubblewrap; else a plain process with limits, the weaker mode.

    Raises:
        NoSandbox: it did not come up.
    """

    def __init__(self, workspace: Workspace, masks: Iterable[str], limits: Limits, sandboxed: bool) -> None:
        self.limits, self.sandboxed = limits, sandboxed
        try:
            self._filter = filter_for_this_machine()
        except UnknownMachine as error:
            raise NoSandbox(str(error)) from None
        if sandboxed:
            require_bubblewrap()
        view = workspace.view(masks)
        ours, theirs = socket.socketpair()
        memory = create_shared_memory()
        status, status_in_child = os.pipe()
        log, log_in_child = os.pipe()
        inherited = [theirs.fileno(), memory, status_in_child]
        if sandboxed:
            command = bubblewrap(workspace.grader, view, limits, status_in_child)
            command += python_command(theirs.fileno(), memory, ["/w/grader", "/w/site", "/w/lib"])
            inherited += [user_namespace()] if os.geteuid() == 0 else []
        else:
            packages = sorted({str(Path(path).parent) for path in allowed_packages().values()})
            command = python_command(theirs.fileno(), memory, [str(workspace.grader), str(view), *packages])
        self._process = subprocess.Popen(
            command, pass_fds=inherited, stdin=subprocess.DEVNULL, stdout=log_in_child, stderr=log_in_child,
            env=environment(limits), cwd=None if sandboxed else workspace.root, start_new_session=True,
        )  # fmt: skip
        for descriptor in (status_in_child, log_in_child):
            os.close(descriptor)
        theirs.close()
        self.channel, self._log, self._status = Channel(ours), _Log(log), os.fdopen(status)
        self.to_worker, self.from_worker = map_shared_memory(memory)
        os.close(memory)
        self._seen = time.monotonic(), 0.0  # when its clock was last read, and what it said
        self._lock_in()
        self.pid = _only_child(_child_pid(self._status.readline())) if sandboxed else self._process.pid

    def request(self, header: dict[str, Any], deadline: float) -> dict[str, Any]:
        """Send a request of our own, before any student's code runs, and give the reply."""
        self.channel.send({**header, "id": "start"}, deadline)
        return self.channel.receive(deadline)

    def _lock_in(self) -> None:
        """Wait for the worker and have it give up what it may not have."""
        becomes = NOBODY if self.sandboxed and os.geteuid() == 0 else None
        limits = {**asdict(self.limits), "filter": self._filter, "nobody": becomes}
        try:
            reply = self.request({"op": "prepare", "limits": limits}, time.monotonic() + START_S)
        except (Closed, TimeoutError):
            self.kill()
            said = self.log.strip().splitlines()
            raise NoSandbox(f"the worker did not start: {said[-1] if said else 'it said nothing'}; {INSTALL}") from None
        if reply.get("op") != "ready":
            self.kill()
            raise NoSandbox(f"the worker could not be locked in: {reply.get('message')}; {INSTALL}")

    @property
    def log(self) -> str:
        """The first and last that it wrote to stdout and stderr."""
        return self._log.text()

    def cpu_ns(self) -> int:
        """Nanoseconds of CPU time of all its threads, ended ones included, read from outside (clock_gettime(3))."""
        used = time.clock_gettime_ns((~self.pid << 3) | 2)
        self._seen = time.monotonic(), used / 1e9
        return used

    def waited_s(self) -> float:
        """Seconds in which it was ready to run and the machine was busy with others (/proc/pid/schedstat)."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def freeze(self) -> None:
        """Stop it until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it and everything in its sandbox."""
        self._process.kill()
        if not self.sandboxed:
            _kill_session(self._process.pid)
        self._process.wait()
        self._log.wait()
        self.channel.close()
        self._status.close()

    def ending(self) -> str:
        """How it ended by itself, in plain words."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "It closed its connection to the grader."
        number = code - 128 if code > 128 else -code
        if code >= 0 and code <= 128:
            return f"It ended the program (exit code {code}) instead of returning."
        if number == signal.SIGXCPU or (number == signal.SIGKILL and self._may_have_used_up_its_cpu_time()):
            return f"It was stopped at the limit of {self.limits.cpu_s} s of CPU time."
        name = signal.Signals(number).name if number in signal.Signals.__members__.values() else f"signal {number}"
        known = {signal.SIGSEGV: "a segmentation fault", signal.SIGABRT: "an abort", signal.SIGKILL: "being killed"}
        return f"It crashed: {known.get(number, 'a signal')} ({name})."  # type: ignore[call-overload]

    def _may_have_used_up_its_cpu_time(self) -> bool:
        """SIGXCPU can be ignored; what then comes at the limit is SIGKILL, and by now its clock is gone."""
        seen, used_s = self._seen
        return used_s + (os.cpu_count() or 1) * (time.monotonic() - seen) >= self.limits.cpu_s


class _Log:
    """Drains a pipe in the background and keeps the first and the last bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._head, self._tail, self._dropped = descriptor, b"", b"", 0
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while part := os.read(self._descriptor, 65_536):
            room = LOG_BYTES // 2 - len(self._head)
            self._head += part[:room]
            tail = self._tail + part[room:]
            self._dropped += max(0, len(tail) - LOG_BYTES // 2)
            self._tail = tail[-LOG_BYTES // 2 :]
        os.close(self._descriptor)

    def wait(self) -> None:
        self._thread.join(timeout=5)

    def text(self) -> str:
        middle = f"\n[... {self._dropped} bytes left out ...]\n".encode() if self._dropped else b""
        return (self._head + middle + self._tail).decode(errors="replace")


def _child_pid(status_line: str) -> int:
    return int(json.loads(status_line)["child-pid"])


def _only_child(pid: int) -> int:
    """The worker as seen from outside: the child of the sandbox's process 1."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _kill_session(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
