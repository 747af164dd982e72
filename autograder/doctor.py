"""What this machine can do: sandbox, GPU, Slurm, versions."""

import importlib.metadata
import platform
import shutil
import subprocess
from typing import Any

VERSIONS = ("torch", "numpy", "triton", "transformers", "nbgrader", "jupytext", "nimblelm")
JUDGE_VERSIONS = ("torch", "numpy", "triton")


def environment() -> dict[str, str | None]:
    """The versions a judge's result depends on."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in JUDGE_VERSIONS}


def device_model() -> str:
    """The processor, and the GPUs where there are any: a speed measured on one device says nothing about another."""
    return ", ".join([_cpu(), *gpus()])


def version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def gpus() -> list[str]:
    """The names of the GPUs the driver shows; empty where there is no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    listed = subprocess.run([tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()] if listed.returncode == 0 else []


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
        ("processor", _cpu()),
        ("versions", versions),
    ]


def _sandbox() -> dict[str, Any]:
    from autograder.sandbox import state

    works, sentence = state()
    return {"works": works, "state": sentence}


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as handle:
            names = [line.partition(":")[2].strip() for line in handle if line.startswith("model name")]
    except OSError:
        names = []
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()
