"""From a submitted notebook, whatever is in it, to a bundle: the source of each solution cell, and notes.

A submission is hostile until proven otherwise: only source text is taken, by `grade_id`, and nothing is executed,
parsed as Python, or followed. The bundle is named by its SHA-256, so equal work is graded once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autograder.cells.names import Own, borrowed, bound_names, given_names, import_remarks
from autograder.cells.notebook_file import Unreadable, read_notebook
from autograder.cells.packages import is_there
from autograder.cells.released import Cell, ReleasedNotebook, cells_of
from autograder.cells.source import as_graded
from autograder.wire.text import one_line, python_lines

MAX_CELL_CHARS = 200_000
MAX_NOTES = 20


@dataclass(frozen=True)
class Bundle:
    """What is graded: the source of each exercise's cell, None where there is none.

    `notes` tell the student in plain words what was unusual; they are no part of the name. `readable` is False where
    there is no notebook at all that could be read: then there is nothing to grade, which is not a score of 0.
    """

    assignment: str
    cells: Mapping[str, str | None]
    notes: tuple[str, ...] = ()
    readable: bool = True
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        content = json.dumps([self.assignment, dict(self.cells)], sort_keys=True, ensure_ascii=True)
        object.__setattr__(self, "sha256", hashlib.sha256(content.encode()).hexdigest())

    def cell_hashes(self) -> dict[str, str]:
        """exercise -> a hash of its cell's source, empty where there is none."""
        return {name: hashlib.sha256(one.encode()).hexdigest() if one else "" for name, one in self.cells.items()}


def read_bundle(path: Path, assignment: str, released: ReleasedNotebook) -> Bundle:
    """Read a notebook. Never raises because of what is in the file."""
    try:
        cells = cells_of(read_notebook(path))
    except Unreadable as error:
        return unreadable(assignment, released, str(error))
    return bundle_of(cells, assignment, released)


def unreadable(assignment: str, released: ReleasedNotebook, why: str) -> Bundle:
    """The bundle of a submission in which there is no notebook that could be read."""
    return Bundle(assignment, dict.fromkeys(released.exercises), (why,), readable=False)


def bundle_of(cells: list[Cell], assignment: str, released: ReleasedNotebook) -> Bundle:
    """The bundle of a notebook's cells: the last cell with a grade_id wins, and everything odd is noted."""
    by_id: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.grade_id:
            by_id.setdefault(cell.grade_id, []).append(cell)
    sources: dict[str, str | None] = {}
    notes: list[str] = []
    for name in released.exercises:
        found = by_id.get(name, [])
        sources[name] = clean_source(found[-1].source) if found else None
        notes += _solution_notes(name, found)
    for name, source in released.locked.items():
        notes += _locked_notes(name, source, by_id.get(name, []))
    for name in sorted(set(by_id) - set(released.stubs) - set(released.locked)):
        notes.append(f"A cell is marked {name[:60]!r}, which is no part of this assignment; it was left out.")
    notes += _source_notes(cells, released, sources)
    if len(notes) > MAX_NOTES:
        notes[MAX_NOTES:] = [f"... and {len(notes) - MAX_NOTES} more remarks of this kind."]
    return Bundle(assignment, sources, tuple(notes))


def clean_source(source: str) -> str | None:
    """Source text that survives a notebook file unchanged; None where there is nothing in it or far too much."""
    text = source.encode("utf-8", "replace").decode("utf-8")
    return text if text.strip() and len(text) <= MAX_CELL_CHARS else None


def _solution_notes(name: str, found: list[Cell]) -> list[str]:
    if not found:
        return [f"The cell of exercise {name!r} is missing, so there was nothing to grade in it."]
    notes = []
    if len(found) > 1:
        notes.append(
            f"{len(found)} cells are marked {name!r} (splitting or copying a cell does that). "
            "Only the last one was graded: put your code into one cell and delete the others."
        )
    last = found[-1]
    if len(last.source) > MAX_CELL_CHARS:
        notes.append(f"The cell of {name!r} is longer than {MAX_CELL_CHARS:,} characters and was not graded.")
    elif not last.source.strip():
        notes.append(f"The cell of exercise {name!r} is empty.")
    if last.kind != "code":
        notes.append(f"The cell of {name!r} is a {last.kind or 'strange'} cell; it was graded as code.")
    return notes


def _locked_notes(name: str, source: str, found: list[Cell]) -> list[str]:
    if not found:
        return [f"The cell {name!r} was deleted. That changes nothing: the original is used for grading."]
    if any(_as_read(cell.source) != _as_read(source) for cell in found):
        return [f"The cell {name!r} was edited. That changes nothing: the original is used for grading."]
    if len(found) > 1:
        return [f"The cell {name!r} is there {len(found)} times. That changes nothing."]
    return []


def _as_read(source: str) -> list[str]:
    """The lines of a cell without what nobody sees: line ends, blanks at the ends of lines, lines without anything."""
    return [line.rstrip() for line in python_lines(source.strip())]


def _source_notes(cells: list[Cell], released: ReleasedNotebook, sources: Mapping[str, str | None]) -> list[str]:
    """What works in the notebook and not where it is graded: IPython's commands, packages, names of other cells."""
    given = given_names([*released.locked.values(), *released.stubs.values()])
    code = [(number, cell) for number, cell in enumerate(cells, 1) if cell.kind == "code"]
    notes = []
    for name, source in sources.items():
        if source is None:
            continue
        own = [Own(_label(number, cell), cell.source) for number, cell in code if cell.grade_id != name]
        notes += [f"The cell of {name!r}: {remark}" for remark in as_graded(source).remarks]
        notes += [f"The cell of {name!r}: {remark}" for remark in import_remarks(source, is_there)]
        notes += borrowed(name, source, own, given, bound_names(released.stubs[name]))
    return notes


def _label(number: int, cell: Cell) -> str:
    if cell.solution and cell.grade_id:
        return f"the cell of {one_line(cell.grade_id, 60)!r}"
    return f"the cell {one_line(cell.grade_id, 60)!r}" if cell.grade_id else f"cell {number} of the notebook"
