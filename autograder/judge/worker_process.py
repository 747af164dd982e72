"""A running worker as the judge holds it: started and sandboxed, timed and frozen from outside, ended whole."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograder.judge.sandbox import (
    INSTALL,
    NOBODY,
    Limits,
    NoSandbox,
    Sandbox,
    environment,
    package_folders,
    python_command,
    require_bubblewrap,
)
from autograder.judge.seccomp import UnknownMachine, filter_for_this_machine
from autograder.judge.workspace import Workspace
from autograder.runtime.device import CPU, Device
from autograder.wire.channel import Channel, Closed, create_shared_memory, map_shared_memory
from autograder.wire.text import last_line

START_S = 120.0
LOG_BYTES = 16_384
STOP_S = 10.0  # for all its threads to stop: each finishes its system call first, and has to get a core for that
STILL_NS = 1_000_000  # its clock may run on for a moment when it has stopped


class ForkServer:
    """The process that forks workers, see `fork_server`; it begins to import at once and ends with its judge.

    Start it and its workers from the main thread only: they die with the thread that started them.

    Args:
        workspace: what the workers see.
        sandboxed: each in bubblewrap; else plain processes with limits, the weaker mode.
        device: what the workers work on.

    Raises:
        NoSandbox: workers cannot be held safely here.
    """

    def __init__(self, workspace: Workspace, limits: Limits, sandboxed: bool = True, device: Device = CPU) -> None:
        self.workspace, self.limits, self.sandboxed, self.device = workspace, limits, sandboxed, device
        try:
            self.filter = filter_for_this_machine(device.starts_programs)
        except UnknownMachine as error:
            raise NoSandbox(str(error)) from None
        if sandboxed:
            require_bubblewrap()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        log, log_in_child = os.pipe()
        self._process = subprocess.Popen(
            python_command(theirs.fileno(), [str(workspace.grader), *package_folders()]), pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=log_in_child, stderr=log_in_child, env=environment(limits, device),
            cwd="/", start_new_session=True,
        )  # fmt: skip
        os.close(log_in_child)
        theirs.close()
        self._log = _Log(log)

    @property
    def log(self) -> str:
        """The last line that it wrote."""
        return last_line(self._log.text())

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._log.wait()

    def start(self, masks: Iterable[str] = ()) -> "WorkerProcess":
        """A new worker in its sandbox; raises NoSandbox where it does not come up.

        Args:
            masks: modules of lib that are masked.
        """
        return WorkerProcess(self, masks)

    def fork(self, lib: str, folder: str, descriptors: list[int]) -> None:
        """Have a worker forked, with these descriptors as `fork_server.main` wants them; its status tells of it."""
        request = {"path": [lib, *package_folders()], "folder": folder, "tmp_bytes": self.limits.tmp_bytes}
        with contextlib.suppress(OSError):  # it has ended: nobody writes to the status
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)


class WorkerProcess:
    """A running worker: its channel, its two arenas, its clock and its end. Made by `ForkServer.start`."""

    def __init__(self, fork_server: ForkServer, masks: Iterable[str]) -> None:
        self.limits, self.sandboxed, self.device = fork_server.limits, fork_server.sandboxed, fork_server.device
        view = fork_server.workspace.view(masks)
        self._sandbox = Sandbox(view, self.limits, self.device) if self.sandboxed else None
        ours, theirs = socket.socketpair()
        memory = create_shared_memory()
        self.to_worker, self.from_worker = map_shared_memory(memory)
        status, status_in_child = os.pipe()
        log, log_in_child = os.pipe()
        self.channel, self._log, self._status = Channel(ours), _Log(log), os.fdopen(status, "rb", buffering=0)
        self._rested_ns: int | None = None  # its clock when it was found stopped
        self._woke = False  # whether its clock went on after that, before it was thawed
        self._seen = time.monotonic(), 0.0  # when its clock was last read, and what it said
        descriptors = [theirs.fileno(), memory, log_in_child, status_in_child]
        if self._sandbox:
            fork_server.fork("/w/lib", "/tmp", [*descriptors, self._sandbox.inside])
        else:
            fork_server.fork(str(view), str(fork_server.workspace.root), descriptors)
        theirs.close()
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        told = self._told(START_S)
        if not isinstance(told, int):
            fork_server.end()
            self._close()
            raise NoSandbox(f"the worker did not start: {told or fork_server.log}; {INSTALL}")
        self.pid = told
        self._process = os.pidfd_open(self.pid)
        self._drop_privileges(fork_server.filter)

    def request(self, header: dict[str, Any], deadline: float) -> dict[str, Any]:
        """Send a request of our own, before any student's code runs, and give the reply."""
        self.channel.send({**header, "id": "start"}, deadline)
        return self.channel.receive(deadline)

    def _drop_privileges(self, system_calls: dict[str, object]) -> None:
        """Have the worker give up what it may not have."""
        becomes = NOBODY if self.sandboxed and os.geteuid() == 0 else None
        limits = {**asdict(self.limits), "filter": system_calls, "nobody": becomes, "bounded": self.device.bounded}
        try:
            reply = self.request({"op": "prepare", "limits": limits}, time.monotonic() + START_S)
        except (Closed, TimeoutError):
            self.kill()
            raise NoSandbox(f"the worker did not start: {last_line(self.log)}; {INSTALL}") from None
        if reply.get("op") != "ready":
            self.kill()
            raise NoSandbox(f"the worker could not be sandboxed: {reply.get('message')}; {INSTALL}")

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
        self._woke = self._woke or not self._is_still()
        self._rested_ns = None
        self._signal(signal.SIGCONT)

    def is_at_rest(self) -> bool:
        """Whether it stopped when it was frozen, in due time, and has been still ever since, this time and each before.

        A thread stops at the end of its system call, and some calls take seconds of work; and whoever finds a way to be
        woken would slow down the other side, which runs meanwhile.
        """
        deadline = time.monotonic() + STOP_S
        with contextlib.suppress(OSError):  # who has ended is stopped
            while self._rested_ns is None:
                if self._has_stopped():
                    self._rested_ns = self.cpu_ns()
                elif time.monotonic() > deadline:
                    return False
                else:
                    time.sleep(0.001)
        return self._is_still() and not self._woke

    def _is_still(self) -> bool:
        with contextlib.suppress(OSError):
            return self._rested_ns is None or self.cpu_ns() - self._rested_ns < STILL_NS
        return True

    def _has_stopped(self) -> bool:
        """Whether none of its threads runs, sleeps or waits (proc_pid_stat(5))."""
        try:
            said = [path.read_text(errors="replace") for path in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        except OSError:
            return False  # one came to its end just now; where the whole process has, there are no files
        return all(about.rpartition(")")[2].split()[0] in "TtZX" for about in said)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def has_children(self) -> bool:
        """Whether it has started another process that is still there; its sandbox's process 1 adopts orphans."""
        parents = [self.pid, self._sandbox.first] if self._sandbox else [self.pid]
        lists = [path.read_text() for pid in parents for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return bool("".join(lists).strip())

    def kill(self) -> None:
        """End it and everything in its sandbox; once more does nothing."""
        if self._status.closed:
            return
        self._signal(signal.SIGKILL)
        self._close()
        os.close(self._process)

    def _close(self) -> None:
        if self._sandbox:
            self._sandbox.close()
        self._status.readall()  # it has ended when nobody can write there any more
        self._status.close()
        self._log.wait()
        self.channel.close()

    def _told(self, patience_s: float) -> Any:
        """The next thing that its supervisor says, see `fork_server`; None where it says nothing."""
        if not select.select([self._status], [], [], patience_s)[0]:
            return None
        return json.loads(self._status.readline() or "null")

    def ending(self) -> str:
        """How it ended by itself, in plain words."""
        code = self._told(5.0)
        if code is None:
            return "It closed its connection to the grader."
        if code >= 0:
            return f"It ended the program (exit code {code}) instead of returning."
        number = -code
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
