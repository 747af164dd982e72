"""What this machine can do: sandbox, GPU, Slurm, versions."""

import platform
import shutil
from typing import Any

from autograder.judge.sandbox import state
from autograder.judge.version import gpus, processor, version_of

VERSIONS = ("torch", "numpy", "triton", "transformers", "nbgrader", "jupytext", "nimblelm")


def report() -> dict[str, Any]:
    """Everything `autograder doctor` shows: {sandbox, gpu, slurm, versions}."""
    found = gpus()
    slurm = shutil.which("sbatch")
    return {
        "sandbox": _sandbox(),
        "gpu": {"available": bool(found), "names": found},
        "slurm": {"available": slurm is not None, "command": slurm},
        "versions": {"python": platform.python_version()} | {name: version_of(name) for name in VERSIONS},
    }


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The report for people: a name and a sentence each."""
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in found["versions"].items())
    return [
        ("sandbox", found["sandbox"]["state"]),
        ("GPU", ", ".join(found["gpu"]["names"]) or "none: GPU checks are not graded here, which costs no points"),
        ("Slurm", found["slurm"]["command"] or "none: judge runs are started on this machine"),
        ("processor", processor()),
        ("versions", versions),
    ]


def _sandbox() -> dict[str, Any]:
    works, sentence = state()
    return {"works": works, "state": sentence}
