"""The judge's way to a student's functions: calls that cross into a worker, with deadlines, restarts and a clock.

Reveal, compute, capture: inputs are written, the clock starts, the worker is called, the bytes of its answer are copied
to private memory, the clock stops. Whatever the worker does wrong is a failed check with a plain sentence.
"""

import contextlib
import secrets
import statistics
import time
from collections.abc import Callable
from typing import Any

from autograder.checks import CheckFailed
from autograder.checks.calls import Call, OwnTimeUp
from autograder.checks.draws import worker_seed
from autograder.judge.program import Guard, Program
from autograder.judge.sandbox import NoSandbox, environment
from autograder.judge.worker_process import WorkerProcess
from autograder.runtime.device import CPU, Busy, Device
from autograder.runtime.execution import Problem
from autograder.wire.channel import Closed, check_reply
from autograder.wire.text import one_line, type_name
from autograder.wire.values import Budget, Callback, ProtocolError, Seed, pack, unpack

MAX_RESTARTS = 3
MAX_CALLBACKS = 10_000  # in one check
MAX_CALLBACK_S = 60.0  # of the judge's own time, in one exercise
MAX_CALLBACK_BYTES = 2**20  # of the tensors that one callback brings
MAX_BYTES_CALLED_BACK = 4 * 2**20  # of all that those of one check bring: what is called may keep them
MAX_RESULT_BYTES = 16 * 2**20  # of the tensors that one call returns: a check may make lists of them
MAX_RAISED = 2000  # characters
MAX_STRETCH = 20  # of a deadline, on a machine that has no time for the worker
MAX_LINE = 200_000  # of a cell
EMPTY_CALLS = 20


class TaskError(Exception):
    """The task's own setup or injected names do not work: nothing is said about the student."""


class RemoteCall(Call):
    """Calls the functions of a program in a worker, which is started when it is first needed and after it ended.

    Args:
        start: makes a worker.
        program: what it runs.
        guard: its self-test and deadlines; without a sandbox there is no self-test.
        key: secret from which the worker's global random generators are seeded.
        device: what its workers work on.
    """

    def __init__(
        self, start: Callable[[], WorkerProcess], program: Program, guard: Guard, key: bytes, device: Device = CPU
    ) -> None:
        super().__init__()
        self.device = device
        self._start, self._program, self._guard, self._key = start, program, guard, key
        self._worker: WorkerProcess | None = None
        self._hopeless = ""  # why there is no use in starting another worker
        self._restarts, self._used_s = 0, 0.0
        self._granted_s = self._left_s = guard.check_s
        self._ours_s = 0.0  # spent in callbacks during a call: not the student's
        self._all_ours_s = 0.0  # in all calls
        self._check, self._calls, self._callbacks, self._called_back = "", 0, 0, 0
        self._cpu_ns: int | None = None  # the worker's clock when its last answer was captured
        self.logs: list[str] = []
        self.round_trip_us: float | None = None
        self.cpu_s = self.wall_s = 0.0  # of the last call; CPU time counts from the answer before

    def begin(self, check: str, deadline_s: float | None = None) -> None:
        """A new check: its own deadline, its own seeds."""
        self._check, self._calls, self._callbacks, self._called_back = check, 0, 0, 0
        self.grant(deadline_s or self._guard.check_s)

    def grant(self, deadline_s: float) -> None:
        """A new deadline within the same check."""
        self._granted_s = self._left_s = deadline_s

    def start(self) -> None:
        """Start the worker now; raises CheckFailed where the cell cannot be run."""
        self._ready_worker()

    def close(self) -> None:
        """End the worker and keep what it wrote."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            self.logs.append(worker.log)

    def forget(self) -> None:
        """The next call comes to a new worker, in which the cell runs again."""
        self.close()

    @property
    def decisive_s(self) -> float:
        """Seconds of the last call, by the clock that decides."""
        return self.wall_s if self.device.by_wall else self.cpu_s

    def require_idle(self) -> None:
        """Raise CheckFailed where something of a frozen worker goes on, Busy where the device is busy without it."""
        if self._worker is not None and not self._worker.is_at_rest():
            raise CheckFailed("When your function had answered, it went on working although it was stopped.")
        if self._worker is not None and self.device.starts_programs and self._worker.has_children():
            raise CheckFailed("When your function had answered, a process that it had started was still running.")
        if self.device.is_idle():
            return
        self.close()
        if not self.device.is_idle():
            raise Busy
        raise CheckFailed("When your function had answered, work of yours was still running on the device.")

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        worker = self._ready_worker()
        callbacks: list[Callback] = []

        def special(node: Any) -> dict[str, Any]:
            if isinstance(node, Seed):
                return {"seed": node.value}
            if isinstance(node, Callback):
                callbacks.append(node)
                return {"callback": len(callbacks) - 1}
            inner = [pack(list(node.args), worker.to_worker, special), pack(node.kwargs, worker.to_worker, special)]
            return {"remote": [node.target, node.keep, *inner]}

        self._calls += 1
        worker.to_worker.clear()
        header = {
            "op": "call", "id": secrets.token_hex(8), "name": name, "repeat": repeat, "part": part,
            "args": pack(list(args), worker.to_worker, special), "kwargs": pack(kwargs, worker.to_worker, special),
            "seed": worker_seed(self._key, self._check, self._calls),
        }  # fmt: skip
        return self._guarded(f"`{name}`", lambda: self._exchange(worker, header, callbacks))

    def _exchange(self, worker: WorkerProcess, header: dict[str, Any], callbacks: list[Callback]) -> Any:
        """Send a call and give its captured result; answer callbacks on the way."""
        worker.from_worker.poison()
        self.device.flush()
        deadline = self._deadline(worker)
        cpu_ns = worker.cpu_ns() if self._cpu_ns is None else self._cpu_ns
        began = time.perf_counter_ns()
        worker.channel.send(header, deadline)
        while (reply := check_reply(worker.channel.receive(deadline), header["id"]))["op"] == "callback":
            worker.channel.send(self._answer_callback(worker, reply, callbacks), deadline)
        if reply["op"] == "error":
            self._raise_failure()
            raise _problem(reply)
        if reply["op"] != "result":
            raise ProtocolError("a reply that is neither a result nor an error")
        result = unpack(reply["value"], worker.from_worker, budget=Budget(MAX_RESULT_BYTES))
        self.wall_s = (time.perf_counter_ns() - began) / 1e9
        self._cpu_ns = worker.cpu_ns()
        self.cpu_s = (self._cpu_ns - cpu_ns) / 1e9
        self._raise_failure()
        return result

    def _answer_callback(
        self, worker: WorkerProcess, reply: dict[str, Any], callbacks: list[Callback]
    ) -> dict[str, Any]:
        self._callbacks += 1
        if self._callbacks > MAX_CALLBACKS:
            raise ProtocolError(f"more than {MAX_CALLBACKS} callbacks in one check")
        if not 0 <= reply["index"] < len(callbacks):
            raise ProtocolError("a call of a function that was not passed")
        began = time.monotonic()
        try:
            budget = Budget(MAX_CALLBACK_BYTES)
            args = unpack(reply["args"], worker.from_worker, budget=budget)
            self._called_back += budget.spent_bytes
            if self._called_back > MAX_BYTES_CALLED_BACK:
                raise ProtocolError(f"callbacks that brought more than {MAX_BYTES_CALLED_BACK >> 20} MB in one check")
            value = self._answer(callbacks[reply["index"]], args)
            worker.to_worker.clear()
            return {"op": "return", "value": pack(value, worker.to_worker)}
        except OwnTimeUp:
            raise
        except (RuntimeError, ValueError) as error:  # ValueError: what it gives cannot cross
            return {"op": "raise", "message": str(error)[:MAX_RAISED]}
        finally:
            took = time.monotonic() - began
            self._ours_s, self._all_ours_s = self._ours_s + took, self._all_ours_s + took
            if self._all_ours_s > MAX_CALLBACK_S:
                self._hopeless = f"Not run: the functions that were passed took more than {MAX_CALLBACK_S:g} s before."
                raise ProtocolError(f"callbacks that took more than {MAX_CALLBACK_S:g} s in all")

    def _allowed_s(self) -> float:
        return max(0.0, min(self._left_s, self._guard.total_s - self._used_s))

    def _deadline(self, worker: WorkerProcess) -> Callable[[], float]:
        """When the student's time is up."""
        allowed_s, began, used_s = self._allowed_s(), time.monotonic(), self._stopwatch(worker)
        latest = began + MAX_STRETCH * allowed_s
        return lambda: min(self._ours_s + latest, time.monotonic() + allowed_s - used_s())

    def _stopwatch(self, worker: WorkerProcess) -> Callable[[], float]:
        """The student's seconds from now on: neither our own callbacks nor waiting for a core of a busy machine.

        Whoever keeps the cores busy with threads of their own has not waited: CPU time always counts.
        """
        began, waited_s, cpu_ns = time.monotonic(), worker.waited_s(), worker.cpu_ns()

        def used_s() -> float:
            passed = time.monotonic() - began - self._ours_s
            with contextlib.suppress(OSError):  # its clocks end with it
                waited = max(0.0, worker.waited_s() - waited_s)
                return max(passed - waited, (worker.cpu_ns() - cpu_ns) / 1e9)
            return passed

        return used_s

    def _guarded(self, who: str, action: Callable[[], Any]) -> Any:
        """Run an exchange with the student's code; whatever goes wrong in it becomes CheckFailed."""
        try:
            return self._exchanged(who, action)
        except OwnTimeUp as error:  # in its midst, or while a worker is dropped that had failed
            self._drop()
            raise CheckFailed(f"{who} kept the grader busy without an answer: {error}.") from None

    def _exchanged(self, who: str, action: Callable[[], Any]) -> Any:
        worker = self._worker
        assert worker is not None
        allowed_s = self._allowed_s()
        used_s: Callable[[], float] = float  # 0.0
        try:
            used_s = self._stopwatch(worker)
            worker.thaw()
            return action()
        except Problem as problem:
            raise CheckFailed(problem.sentence(who), problem.raised) from None
        except TimeoutError:
            self._drop()
            whole = self._used_s + allowed_s >= self._guard.total_s
            limit = (
                f"{self._guard.total_s:g} s for the whole exercise"
                if whole
                else f"{self._granted_s:g} s for this check"
            )
            raise CheckFailed(f"{who} did not finish within the limit of {limit}; is there an endless loop?") from None
        except (Closed, ProcessLookupError, OSError):
            ending = worker.ending()
            self._drop()
            raise CheckFailed(f"{who} did not return. {ending}") from None
        except ProtocolError as error:
            self._drop()
            raise CheckFailed(f"{who} gave a malformed answer: {error}.") from None
        finally:
            if self._worker is not None:
                self._worker.freeze()  # nothing goes on while nobody waits: it would take the judge's cores
            took = used_s()
            self._used_s, self._left_s, self._ours_s = self._used_s + took, self._left_s - took, 0.0

    def _drop(self) -> None:
        """Give up a worker that hung, ended or lied."""
        self.close()
        if not self.device.is_well():
            raise NoSandbox("a worker was killed and the device does not answer any more: this machine needs a person")
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            self._hopeless = f"Not run: the code hung, crashed or ended the program {self._restarts} times before."

    def _ready_worker(self) -> WorkerProcess:
        if not self._hopeless and self._used_s >= self._guard.total_s:
            self._hopeless = (
                f"Not run: the limit of {self._guard.total_s:g} s for the whole exercise was used up before."
            )
        if self._hopeless:
            raise CheckFailed(self._hopeless)
        if self._worker is None:
            self._worker, self._cpu_ns = self._start(), None
            self._load(self._worker)
            self._run_cell(self._worker)
        return self._worker

    def _load(self, worker: WorkerProcess) -> None:
        """Our own part, before any student's code: self-test, the empty call's round trip, setup and injected names."""
        deadline = time.monotonic() + 60
        if worker.sandboxed:
            probe = {"op": "probe", "paths": self._guard.paths, "masks": self._guard.masks}
            probe |= {"environment": list(environment(worker.limits, self.device))}
            reply = worker.request({**probe, "programs": self.device.starts_programs}, deadline)
            if reply.get("value") != []:
                worker.kill()
                raise NoSandbox(
                    f"the sandbox does not hold, from inside it a test {'; '.join(reply.get('value', ['?']))}"
                )
        times = []
        for _ in range(EMPTY_CALLS):
            began = time.perf_counter()
            worker.request({"op": "empty"}, deadline)
            times.append(time.perf_counter() - began)
        self.round_trip_us = 1e6 * statistics.median(times)
        load = {"op": "load", "setup": self._program.setup, "injects": dict(self._program.injects)}
        load |= {"device": self.device.name, "kernels": self._program.kernels}
        reply = worker.request(load, deadline)
        if reply["op"] != "ready":
            worker.kill()
            raise TaskError(f"{self._program.name}: {_problem(reply).sentence('The setup')}")

    def _run_cell(self, worker: WorkerProcess) -> None:
        if self._program.source is None:
            return
        header = {
            "op": "cell", "id": secrets.token_hex(8), "name": self._program.name, "source": self._program.source,
            "seed": worker_seed(self._key, "cell"),
        }  # fmt: skip

        def run() -> None:
            deadline = self._deadline(worker)
            worker.channel.send(header, deadline)
            reply = check_reply(worker.channel.receive(deadline), header["id"])
            if reply["op"] != "ready":
                raise _problem(reply)

        try:
            self._guarded("The cell", run)
        except CheckFailed as failure:
            self._hopeless = str(failure)
            self.close()
            raise CheckFailed(self._hopeless) from None  # no call and no input led to it


def _problem(reply: dict[str, Any]) -> Problem:
    """The student's exception in a reply: nothing in it is believed, all of it can be shown."""
    if reply["op"] != "error" or reply["kind"] not in Problem.KINDS:
        raise ProtocolError("a reply of a kind that was not expected")
    line = reply["line"] if reply["line"] is not None and 0 < reply["line"] <= MAX_LINE else None
    return Problem(reply["kind"], reply["type"] and type_name(reply["type"]), one_line(reply["message"], 700), line)
