"""Where judge runs happen: an executor is given a folder with a job file, and sees to it that a judge runs on it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from autograder.controller.judge_process import run_judge
from autograder.judge.version import device_model, environment

Versions = dict[str, Any]


class Executor(Protocol):
    """Runs judges, several at a time: `run` is called from a thread for each."""

    @property
    def parallel(self) -> int:
        """How many runs it takes at a time, where nobody says."""
        ...

    def versions(self) -> Versions:
        """{environment, device} of where it runs judges, which their results depend on.

        Raises:
            CannotGrade: no judge can run there.
        """
        ...

    def run(
        self, command: Sequence[str], folder: Path, cwd: Path, *, deadline_s: float,
        watch: Callable[[], object], event: Callable[[dict[str, Any]], object],
    ) -> None:  # fmt: skip
        """Have a judge turn `folder`'s job.json into its result.json, see `run_judge`.

        Raises:
            CannotGrade: it failed, refused, or took longer than `deadline_s`.
        """
        ...


class ThisMachine:
    """Each judge is a process of this machine."""

    @property
    def parallel(self) -> int:
        """Half the cores, since a judge and its worker share the load."""
        return max(1, (os.cpu_count() or 2) // 2)

    def versions(self) -> Versions:
        return {"environment": environment(), "device": device_model()}

    def run(
        self, command: Sequence[str], folder: Path, cwd: Path, *, deadline_s: float,
        watch: Callable[[], object], event: Callable[[dict[str, Any]], object],
    ) -> None:  # fmt: skip
        run_judge(command, folder, cwd, deadline_s=deadline_s, watch=watch, event=event)
