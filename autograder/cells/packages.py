"""The packages that are there where a cell is graded: what the sandbox shows of those that are installed."""

import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable
from functools import cache

DISTRIBUTIONS = ("torch", "numpy", "triton", "einops", "jaxtyping", "safetensors")


@cache
def allowed_packages() -> dict[str, str]:
    """Names and paths of the folders and files of the packages that a worker may import, with what they need."""
    found: dict[str, str] = {}
    for distribution in _closure(DISTRIBUTIONS):
        listed = (distribution.read_text("RECORD") or "").splitlines()
        for name in {line.partition("/")[0].partition(",")[0].strip('"') for line in listed} - {
            "..",
            "__pycache__",
            "",
        }:
            if not name.endswith(".pth"):
                found[name] = str(distribution.locate_file(name))
    return {name: path for name, path in sorted(found.items()) if os.path.exists(path)}


def hidden_sentence(module: str) -> str:
    """What importing a module of the library says where it is masked."""
    return f"{module} cannot be used in this exercise: it does, or may do, what you are to write yourself"


def hidden_by(name: str, shows: Iterable[str]) -> str:
    """The module or package by whose absence a module of the library is masked; empty where it can be imported.

    Args:
        shows: dotted names of the modules and packages that an exercise may use.
    """
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        part = ".".join(parts[:length])
        if part in shows:
            return ""
        if not any(one.startswith(f"{part}.") for one in shows):
            return part
    return ""


def is_there(package: str) -> bool:
    """Whether a package can be imported where cells are graded, by the first part of its dotted name."""
    return package in _importable()


@cache
def _importable() -> frozenset[str]:
    listed = {name.partition(".")[0] for name in allowed_packages()}
    return frozenset({*sys.stdlib_module_names, *DISTRIBUTIONS, "nimblelm", *listed})


def _closure(roots: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """The installed distributions among the roots and all that they require, extras left out."""
    seen: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(roots)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        try:
            seen[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform, or optional
        for requirement in seen[name].requires or ():
            if "extra ==" not in requirement and (match := re.match(r"[A-Za-z0-9._-]+", requirement)):
                waiting.append(match.group())
    return list(seen.values())
