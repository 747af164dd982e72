"""A notebook's cells, reduced to what grading needs, and the student notebook as it was released."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.cells.notebook_file import read_notebook
from autograder.wire.errors import CannotGrade
from autograder.wire.text import one_line

PACKAGE = Path(__file__).resolve().parents[1]
RELEASED = "released.ipynb"  # beside task.toml in the zip


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook, reduced to what grading needs."""

    kind: str
    grade_id: str | None
    solution: bool
    locked: bool
    source: str


@dataclass(frozen=True)
class ReleasedNotebook:
    """The student notebook as it was released: what a submission is measured against.

    `document` is the notebook's JSON, `stubs` the released source of each exercise's cell, `locked` that of the rest.
    """

    document: dict[str, Any]
    stubs: Mapping[str, str]
    locked: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> "ReleasedNotebook":
        if not path.is_file():
            raise CannotGrade(f"{path} does not exist. Generate it: autograder release {path.stem}")
        document = read_notebook(path)
        cells = [cell for cell in cells_of(document) if cell.grade_id]
        return cls(
            document,
            {cell.grade_id: cell.source for cell in cells if cell.grade_id and cell.solution},
            {cell.grade_id: cell.source for cell in cells if cell.grade_id and not cell.solution and cell.locked},
        )

    @property
    def exercises(self) -> list[str]:
        return list(self.stubs)


def released_path(assignment: str, package: Path = PACKAGE) -> Path:
    """Where the student notebook lies as it was released: in the zip, else on a clone."""
    in_zip = package / "tasks" / assignment / RELEASED
    return in_zip if in_zip.is_file() else package.parent / "assignments" / assignment / f"{assignment}.ipynb"


def marked_cells(notebook: str) -> set[str]:
    """The grade_id of every cell of a notebook of ours that nbgrader keeps track of."""
    cells = cells_of(json.loads(notebook))
    return {cell.grade_id for cell in cells if cell.grade_id and (cell.solution or cell.locked)}


def cells_of(document: dict[str, Any]) -> list[Cell]:
    return [_cell(raw) for raw in document["cells"] if isinstance(raw, dict)]


def _cell(raw: dict[str, Any]) -> Cell:
    metadata = raw.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    mark = mark if isinstance(mark, dict) else {}
    grade_id, kind = mark.get("grade_id"), raw.get("cell_type")
    source = raw.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return Cell(
        kind=one_line(kind, 20) if isinstance(kind, str) else "",
        grade_id=grade_id if isinstance(grade_id, str) and grade_id else None,
        solution=mark.get("solution") is True,
        locked=mark.get("locked") is True or mark.get("grade") is True,
        source=source if isinstance(source, str) else "",
    )
