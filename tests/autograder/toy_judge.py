"""Judges answers to the toy task: helpers of the judge's tests."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

from autograder.checks import load_task
from autograder.judge.job import JobFile
from autograder.judge.judge import Judge
from autograder.judge.program import Guard, Program
from autograder.judge.remote_call import RemoteCall
from autograder.judge.sandbox import Limits
from autograder.judge.worker_process import ForkServer
from autograder.judge.workspace import Workspace

TOY = Path(__file__).parent / "toy_task"
ASSIGNMENT = "a91_toy"
LIMITS = Limits()
RUN_KEY = "5e" * 16
RIGHT = {
    "double": "def double(x):\n    return 2 * x\n",
    "draw": "def draw(probs, generator):\n    return int(torch.multinomial(probs, 1, generator=generator))\n\n\n"
    "def ask(model, x):\n    return model(x)\n",
    "mix": "def mix(x, rounds):\n    for _ in range(rounds):\n        x = torch.tanh(x @ x)\n    return x\n",
}
if str(TOY / "lib") not in sys.path:
    sys.path.append(str(TOY / "lib"))  # the toy's checks import its reference, as ours import lib


def job(cells: dict[str, str | None] | None = None, **changes: Any) -> JobFile:
    """A job with right answers, except for the given cells; only their exercises, where cells are given."""
    options: dict[str, Any] = {"limits": {"speed": False}, "tasks": str(TOY / "tasks"), "lib": str(TOY / "lib")}
    options |= {"exercises": list(cells) if cells else None, **changes}
    return JobFile(ASSIGNMENT, "key", options.pop("run_key", RUN_KEY), {**RIGHT, **(cells or {})}, **options)


def judged(cells: dict[str, str | None] | None = None, **changes: Any) -> dict[str, Any]:
    """The exercises of the result."""
    return Judge(job(cells, **changes)).run()["exercises"]


def statuses(exercise: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["status"] for row in exercise["checks"]}


def messages(exercise: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["message"] for row in exercise["checks"]}


@cache
def fork_server(workspace: Workspace, limits: Limits = LIMITS, sandboxed: bool = True) -> ForkServer:
    """One for all tests on a workspace; it ends with them."""
    return ForkServer(workspace, limits, sandboxed)


def remote(
    workspace: Workspace, source: str | None, *, limits: Limits = LIMITS, sandboxed: bool = True, masks: tuple = (),
    check_s: float = 10, total_s: float = 60, paths: tuple = (), injects: dict | None = None
) -> RemoteCall:  # fmt: skip
    """Calls of the functions of a cell in a worker."""
    program = Program("cell", load_task(TOY / "tasks" / ASSIGNMENT).setup, injects or {}, source)
    guard = Guard(paths, masks, check_s, total_s)
    call = RemoteCall(lambda: fork_server(workspace, limits, sandboxed).start(masks), program, guard, b"key")
    call.begin("a check")
    return call
