"""Content hashes: what a page was executed with, and whether a built site is still current."""

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What the site's files can depend on.
SITE_INPUTS = ("lib/**/*", "benchmarks/results/**/*", "requirements.txt", "book/**/*", "assignments/**/*",
               "autograder/tasks/**/*", "_config.yml")  # fmt: skip

_CACHES = {"__pycache__", ".ipynb_checkpoints", "_build", ".venv"}


def input_files(patterns: Iterable[str], root: Path = ROOT) -> list[Path]:
    """The files that match, sorted, without caches, metadata of installs and what the build itself writes."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not is_generated(path.relative_to(root)))


def is_generated(path: Path) -> bool:
    """Whether a file, named from the repository's root, is a cache, an install's, or written by the build."""
    in_cache = any(part in _CACHES or part.endswith(".egg-info") for part in path.parts)
    return in_cache or path.is_relative_to("book/assignments")


def fingerprint(patterns: Iterable[str], root: Path = ROOT) -> str:
    """Of the files that match and the Python version; see `digest_of`."""
    return digest_of(input_files(patterns, root), root, ".".join(platform.python_version_tuple()[:2]))


def digest_of(files: Iterable[Path], root: Path, more: str = "") -> str:
    """SHA-256 over each file's path and bytes, in the order of their paths, and over `more`; 16 hexadecimal digits."""
    digest = hashlib.sha256(more.encode())
    for path in sorted(files):
        digest.update(b"\0" + path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
