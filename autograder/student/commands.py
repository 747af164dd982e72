"""For students: the checks of a whole notebook, the next hint of an exercise, and a fresh start with it.

    python -m autograder check a02_speculative_decoding.ipynb
    python -m autograder hint a02_speculative_decoding.ipynb accept
    python -m autograder reset a02_speculative_decoding.ipynb accept

It works on a clone and in the zip that is handed out, which holds the released notebook a second time for `reset`. All
but the checks needs Python and nothing else.
"""

import argparse
import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.cells.notebook_file import Unreadable, read_notebook
from autograder.cells.released import PACKAGE, released_path
from autograder.wire.errors import UsageError
from autograder.wire.files import text_of, write_durably


@dataclass(frozen=True)
class Hint:
    """A hint, and how many of how many have been shown with it."""

    text: str
    number: int
    of: int

    def __str__(self) -> str:
        last = " It is the last one." if self.number == self.of else ""
        return f"Hint {self.number} of {self.of}: {self.text}{last}"


def next_hint(notebook: Path, exercise: str, package: Path = PACKAGE) -> Hint:
    """The next hint of an exercise; after the last one the last again.

    Which were shown is kept in a hidden file beside the notebook.

    Raises:
        UsageError: there is no such file, exercise or hint.
    """
    hints = _exercise(_existing(notebook), exercise, package).get("hints", [])
    if not hints:
        raise UsageError(f"There are no hints for {exercise!r}.")
    memory = notebook.with_name(f".{notebook.stem}.hints.json")
    try:
        shown = dict(json.loads(memory.read_text(encoding="utf-8")))
        number = min(int(shown.get(exercise, 0)) + 1, len(hints))
    except (OSError, ValueError, TypeError):
        shown, number = {}, 1
    write_durably(memory, json.dumps({**shown, exercise: number}))
    return Hint(hints[number - 1], number, len(hints))


def reset(notebook: Path, exercise: str, package: Path = PACKAGE) -> Path:
    """Put an exercise's cell back as it was released and leave every other cell as it is; the backup's path.

    Where several cells have the exercise's name it is the last one, which is the one that is graded. Where it is gone
    it comes back before the cell that tests it.

    Raises:
        UsageError: there is no such file or exercise, or the file is no notebook.
    """
    before, document = _existing(notebook).read_bytes(), _document(notebook)
    assignment = _assignment(notebook, package)
    _exercise(notebook, exercise, package)
    released = _document(_existing(released_path(assignment, package)))
    cells, fresh = document["cells"], released["cells"][_last(released["cells"], exercise)]
    if (place := _last(cells, exercise)) is not None:
        cells[place] = fresh
    else:
        test = _last(cells, f"{exercise}_test")
        cells.insert(len(cells) if test is None else test, fresh)
    backup = _backup_path(notebook)
    backup.write_bytes(before)
    write_durably(notebook, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return backup


def check(notebook: Path, package: Path = PACKAGE) -> bool:
    """Print what the visible checks find in each exercise of a saved notebook; whether all passed.

    Raises:
        UsageError: there is no such file, or it is no notebook.
    """
    from autograder.cells.bundle import read_bundle
    from autograder.cells.released import ReleasedNotebook
    from autograder.check import Checker

    assignment = _assignment(_existing(notebook), package)
    released = ReleasedNotebook.load(_existing(released_path(assignment, package)))
    found = read_bundle(notebook, assignment, released)
    if not found.readable:
        raise UsageError(found.notes[0])
    for note in found.notes:
        print(f"! {note}")
    checker = Checker(assignment)
    reports = []
    for exercise, source in found.cells.items():
        print(f"\n{exercise}", flush=True)
        reports.append(checker.check_source(exercise, source))
    return all(report.passed for report in reports)


def _existing(notebook: Path) -> Path:
    if not notebook.is_file():
        raise UsageError(f"There is no file {notebook}.")
    return notebook


def _assignment(notebook: Path, package: Path) -> str:
    """The assignment whose name the file's begins with (a browser saves `a02 (1).ipynb`), or the only one there is."""
    known = sorted(path.parent.name for path in (package / "tasks").glob("*/task.toml"))
    fitting = [name for name in known if notebook.stem.startswith(name)] or known
    if len(fitting) == 1 or (fitting and notebook.stem.startswith(fitting[0])):
        return max(fitting, key=len)
    raise UsageError(f"{notebook.name} is called like no assignment. Known: {', '.join(known)}.")


def _exercise(notebook: Path, exercise: str, package: Path) -> dict[str, Any]:
    text = text_of(package / "tasks" / _assignment(notebook, package) / "task.toml")
    exercises = {one["id"]: one for one in tomllib.loads(text)["exercise"]}
    if exercise not in exercises:
        raise UsageError(f"Unknown exercise {exercise!r}. Known: {', '.join(exercises)}.")
    return exercises[exercise]


def _document(path: Path) -> dict[str, Any]:
    try:
        return read_notebook(path)
    except Unreadable as error:
        raise UsageError(f"{path.name}: {error}") from None


def _last(cells: list[Any], name: str) -> int | None:
    """The place of the last cell with a grade_id."""
    for place, cell in reversed(list(enumerate(cells))):
        metadata = cell.get("metadata") if isinstance(cell, dict) else None
        mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        if isinstance(mark, dict) and mark.get("grade_id") == name:
            return place
    return None


def _backup_path(notebook: Path) -> Path:
    """A name that is not taken."""
    number = 1
    while (path := notebook.with_name(f"{notebook.stem}.backup-{number}.ipynb")).exists():
        number += 1
    return path


def main(arguments: list[str] | None = None) -> int:
    """The command line of the zip; returns 0, 1 where a check failed, or 2 for what does not exist."""
    parser = argparse.ArgumentParser(prog="python -m autograder", description="Help with an assignment's exercises.")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="run the visible checks on every exercise of a saved notebook")
    checking.add_argument("notebook", type=Path)
    for name, purpose in (("hint", "show the next hint"), ("reset", "put a cell back as it was released")):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("notebook", type=Path)
        command.add_argument("exercise")
    given = parser.parse_args(arguments)
    try:
        if given.command == "check":
            return 0 if check(given.notebook) else 1
        if given.command == "hint":
            print(next_hint(given.notebook, given.exercise))
        else:
            print(reset_sentence(given.exercise, reset(given.notebook, given.exercise)))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def reset_sentence(exercise: str, backup: Path) -> str:
    return f"The cell of {exercise!r} is as it was released. Your work is in {backup.name}. Reload the page in Jupyter."
