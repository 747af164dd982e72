"""Content hashes: what a page was executed with, and whether a built site is still current."""

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What a cell's output can depend on besides its own text: our code, the trained weights, measured results, the lock.
EXECUTION_INPUTS = ("lib/**/*", "book/book_tools/**/*", "benchmarks/results/**/*", "requirements.txt")

# What the site's files can depend on.
SITE_INPUTS = (*EXECUTION_INPUTS, "book/**/*", "assignments/**/*", "autograder/tasks/**/*", "_config.yml")

_CACHES = {"__pycache__", ".ipynb_checkpoints", "_build"}


def input_files(patterns: Iterable[str], root: Path = ROOT) -> list[Path]:
    """The files that match, sorted, without caches, metadata of installs and what the build itself writes."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not _is_generated(path.relative_to(root)))


def _is_generated(path: Path) -> bool:
    in_cache = any(part in _CACHES or part.endswith(".egg-info") for part in path.parts)
    return in_cache or path.is_relative_to("book/assignments")


def fingerprint(patterns: Iterable[str], root: Path = ROOT) -> str:
    """SHA-256 over the Python version and each file's path and bytes, as 16 hexadecimal digits."""
    digest = hashlib.sha256(".".join(platform.python_version_tuple()[:2]).encode())
    for path in input_files(patterns, root):
        digest.update(b"\0" + path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
