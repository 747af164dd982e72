"""The untrusted side: runs the setup, what is injected and the student's cell, and serves calls of the functions.

Until the cell runs this process is ours; it gives up what the student may not have and tries to escape. From then on
nothing that it says is believed.
"""

import contextlib
import json
import os
import socket
import sys
import types
from collections.abc import Callable
from typing import Any

import torch

from autograder.runtime.device import CPU, by_name
from autograder.runtime.execution import Problem, find, invoke, resolve, run_cell, seed_everything
from autograder.runtime.triton_bounds import bound_kernels
from autograder.wire.channel import Channel, Closed, map_shared_memory
from autograder.wire.values import pack, unpack
from autograder.worker.escape_probe import escapes
from autograder.worker.privileges import drop_privileges


class Worker:
    """Serves one judge until it is killed or its channel closes."""

    def __init__(self, channel: Channel, memory: int) -> None:
        self._channel = channel
        self._inbox, self._outbox = map_shared_memory(memory)
        self._device = CPU
        self._setup: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._namespace = types.ModuleType("student")
        sys.modules["student"] = self._namespace  # where the classes of a cell say they live
        self._cell = ""
        self._id = ""

    def serve(self) -> None:
        """Answer requests, one after the other."""
        handlers = {
            "prepare": drop_privileges,
            "probe": self._probe,
            "load": self._load,
            "empty": lambda _: {"op": "ready"},
        }
        handlers |= {"cell": self._run, "call": self._call}
        while True:
            request = self._channel.receive()
            self._id = request["id"]
            try:
                reply = handlers[request["op"]](request)
            except Problem as problem:
                reply = self._error(problem)
            try:
                self._channel.send({"id": self._id, **reply})
            except ValueError as error:
                self._channel.send({"id": self._id, **self._error(Problem("result", "", str(error)))})

    @staticmethod
    def _error(problem: Problem) -> dict[str, Any]:
        text = {name: _sendable(getattr(problem, name)) for name in ("kind", "type", "message")}
        return {"op": "error", **text, "line": problem.line}

    @staticmethod
    def _probe(request: dict[str, Any]) -> dict[str, Any]:
        found = escapes(request["paths"], request["masks"], request["environment"], request["programs"])
        return {"op": "result", "value": found}

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        """The task's own part: the setup and what is injected."""
        self._device, self._inbox.copy = (device := by_name(request["device"])), device.receive
        for arena in (self._inbox, self._outbox):
            device.pin(arena.bytes)
        namespace = self._namespace.__dict__
        run_cell(request["setup"], "setup", namespace)
        if request["kernels"]:
            bound_kernels()
        self._setup = dict(namespace)
        namespace.update({name: resolve(target, self._setup) for name, target in request["injects"].items()})
        return {"op": "ready"}

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        """The student's cell: from here on this process is not ours."""
        self._cell = request["name"]
        seed_everything(request["seed"])
        run_cell(request["source"], self._cell, self._namespace.__dict__)
        return {"op": "ready"}

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        function = find(request["name"], self._namespace.__dict__)
        try:
            inputs = unpack({"tuple": [request["args"], request["kwargs"]]}, self._inbox, self._build)
        except Exception as error:
            raise Problem("raised", type(error).__name__, f"{error} (while its inputs were made)") from error
        seed_everything(request["seed"])
        result = invoke(function, tuple(inputs[0]), inputs[1], request["repeat"], request["part"], f"<{self._cell}>")
        self._outbox.clear()
        try:
            self._device.synchronize()
            return {"op": "result", "value": pack(result, self._outbox)}
        except Exception as error:
            raise Problem("result", type(error).__name__, str(error)) from None

    def _build(self, kind: str, body: Any) -> Any:
        """What a special node of a request stands for."""
        if kind == "seed":
            return torch.Generator().manual_seed(body)
        if kind == "callback":
            return self._callback(body)
        assert kind == "remote", kind
        target, keep, *rest = body
        key = json.dumps(body)
        if keep and key in self._kept:
            return self._kept[key]
        args, kwargs = unpack({"tuple": rest}, self._inbox, self._build)
        built = resolve(target, self._setup)(*args, **kwargs)
        if keep:
            self._kept[key] = built
        return built

    def _callback(self, index: int) -> Callable[..., Any]:
        """A function whose calls are answered by the judge."""

        def call_back(*args: Any) -> Any:
            self._outbox.clear()
            tree = pack(list(args), self._outbox)
            self._channel.send({"op": "callback", "id": self._id, "index": index, "args": tree})
            answer = self._channel.receive()
            if answer["op"] == "raise":
                raise RuntimeError(answer["message"])
            return unpack(answer["value"], self._inbox)

        return call_back


def _sendable(text: str) -> str:
    return text.encode(errors="replace").decode()


def serve(channel: int, memory: int) -> None:
    """Serve the judge on the socket and the shared memory with these descriptors, until it goes away."""
    worker = Worker(Channel(socket.socket(fileno=channel)), memory)
    os.close(memory)
    with contextlib.suppress(Closed):
        worker.serve()
