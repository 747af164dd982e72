"""The folder of a task: which file holds what, what ships to students, and what never does.

    task.toml                       title, exercises, hints: no code
    setup.py                        runs before every cell, in worker and notebook: imports, models, tables       ships
    host_<exercise>.py              our code that launches a cell's Triton kernels                                ships
    visible/<exercise>.py           the checks that a student runs                                                ships
    checks/<exercise>.py            the hidden checks
    oracles.py                      what several hidden checks compare with
    mutants/<exercise>/<slug>.*     wrong answers, see `assurance.mutants`

Files of `visible/` and `checks/` with another name hold what several exercises share.
"""

from collections.abc import Iterable
from pathlib import Path

from autograder.wire.text import decoded

TASK, SETUP = "task.toml", "setup.py"
VISIBLE, HIDDEN = "visible", "checks"
MUTANTS = "mutants"
SHIPS = (TASK, SETUP, "host_*.py", f"{VISIBLE}/*.py")


def shipped(folder: Path) -> list[Path]:
    """The files of a task that students get."""
    return sorted(path for pattern in SHIPS for path in folder.glob(pattern))


def kept(folder: Path) -> list[Path]:
    """The code of a task that no student gets, wrong answers left out."""
    ours = [path for path in sorted(folder.rglob("*.py")) if MUTANTS not in path.relative_to(folder).parts]
    return [path for path in ours if path not in shipped(folder)]


def files_of(folder: Path, kind: str) -> list[Path]:
    """The files with the `kind` of checks, VISIBLE or HIDDEN."""
    return sorted((folder / kind).glob("*.py"))


def setup_of(folder: Path) -> str:
    """What runs before every cell; nothing where there is no such file."""
    return _text(folder / SETUP)


def hosts_of(folder: Path, exercises: Iterable[str]) -> dict[str, str]:
    """Our code that launches kernels, for each exercise that has some.

    Raises:
        ValueError: a file is for an exercise that there is not.
    """
    known = list(exercises)
    files = {path.stem.removeprefix("host_"): path for path in folder.glob("host_*.py")}
    if strange := sorted(files.keys() - set(known)):
        raise ValueError(f"{files[strange[0]]}: {TASK} has no exercise {strange[0]!r}")
    return {name: _text(path) for name, path in files.items()}


def _text(path: Path) -> str:
    return decoded(path.read_bytes()) if path.is_file() else ""
