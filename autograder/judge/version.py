"""What a verdict depends on beside the work: the judge's own files, the versions of its packages, and the device."""

import hashlib
import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path

from autograder import NODE, rooms_in

PACKAGE = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "numpy", "triton")


def judge_version(tasks: Path, lib: Path) -> str:
    """SHA-256 over everything on the judge's side: its code, one assignment's task files, and lib with its weights."""
    digest = hashlib.sha256()
    _add(digest, "autograder/__init__.py", PACKAGE / "__init__.py")
    for room in rooms_in(NODE):
        for path in sorted((PACKAGE / room).rglob("*.py")):
            _add(digest, f"autograder/{path.relative_to(PACKAGE)}", path)
    for folder in (tasks, lib):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and "mutants" not in path.parts:
                _add(digest, str(path.relative_to(folder)), path)
    return digest.hexdigest()


def environment() -> dict[str, str | None]:
    """The versions a judge's result depends on."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in PACKAGES}


def device_model() -> str:
    """The processor, and the GPUs where there are any: a speed measured on one device says nothing about another."""
    return ", ".join([processor(), *gpus()])


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


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as handle:
            names = [line.partition(":")[2].strip() for line in handle if line.startswith("model name")]
    except OSError:
        names = []
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()


def _add(digest: "hashlib._Hash", name: str, path: Path) -> None:
    content = path.read_bytes()
    digest.update(f"{name}\n{len(content)}\n".encode())
    digest.update(content)
