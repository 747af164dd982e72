"""What this machine can do: sandbox, GPU, Slurm, versions."""

import platform
from typing import Any

from autograder.controller.slurm_queue import cluster
from autograder.judge.sandbox import state
from autograder.judge.version import gpus, processor, version_of

VERSIONS = ("torch", "numpy", "triton", "transformers", "nbgrader", "jupytext", "nimblelm")


def report() -> dict[str, Any]:
    """Everything `autograder doctor` shows: {sandbox, gpu, slurm, versions}."""
    found = gpus()
    return {
        "sandbox": _sandbox(),
        "gpu": {"available": bool(found), "names": found},
        "slurm": cluster(),
        "versions": {"python": platform.python_version()} | {name: version_of(name) for name in VERSIONS},
    }


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The report for people: a name and a sentence each."""
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in found["versions"].items())
    return [
        ("sandbox", found["sandbox"]["state"]),
        ("GPU", ", ".join(found["gpu"]["names"]) or "none: GPU checks are not graded here, which costs no points"),
        ("Slurm", found["slurm"]["state"]),
        ("processor", processor()),
        ("versions", versions),
    ]


def _sandbox() -> dict[str, Any]:
    works, sentence = state()
    return {"works": works, "state": sentence}
