"""From a submitted notebook, whatever is in it, to a bundle: the source of each solution cell, and notes.

A submission is hostile until proven otherwise: only source text is taken, by `grade_id`, and nothing is executed,
parsed as Python, or followed. The bundle is named by its SHA-256, so equal work is graded once.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.course import CannotGrade, Course
from autograder.text import one_line

MAX_NOTEBOOK_BYTES = 20 * 2**20
MAX_CELLS = 5000
MAX_CELL_CHARS = 200_000
MAX_NOTES = 20
MAX_FILES = 1000  # in one submission


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
        document = json.loads(path.read_text(encoding="utf-8"))
        cells = [cell for cell in cells_of(document) if cell.grade_id]
        return cls(
            document,
            {cell.grade_id: cell.source for cell in cells if cell.grade_id and cell.solution},
            {cell.grade_id: cell.source for cell in cells if cell.grade_id and not cell.solution and cell.locked},
        )

    @property
    def exercises(self) -> list[str]:
        return list(self.stubs)


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


class Unreadable(ValueError):
    """The file is not a notebook; the message says why, to the student."""


def read_bundle(path: Path, assignment: str, released: ReleasedNotebook, submitted: Path | None = None) -> Bundle:
    """Read a notebook. Never raises because of what is in the file.

    Args:
        submitted: the folder of all submissions, where it is one of them: then nothing on the way to it, and nothing
            that lies beside it, may lead anywhere else.
    """
    try:
        if submitted is not None:
            _refuse_what_leads_elsewhere(path.parent, submitted)
        cells = cells_of(_document(path))
    except Unreadable as error:
        empty: dict[str, str | None] = dict.fromkeys(released.exercises)
        return Bundle(assignment, empty, (str(error),), readable=False)
    return bundle_of(cells, assignment, released)


def read_submission(course: Course, student: str, assignment: str, released: ReleasedNotebook) -> Bundle:
    """What a student handed in, the same for whoever grades, exports or replays it."""
    return read_bundle(course.submission(student, assignment), assignment, released, course.submitted)


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
    notes += _helper_notes([cell for cell in cells if not cell.grade_id and cell.kind == "code"], sources)
    if len(notes) > MAX_NOTES:
        notes[MAX_NOTES:] = [f"... and {len(notes) - MAX_NOTES} more remarks of this kind."]
    return Bundle(assignment, sources, tuple(notes))


def clean_source(source: str) -> str | None:
    """Source text that survives a notebook file unchanged; None where there is nothing in it or far too much."""
    text = source.encode("utf-8", "replace").decode("utf-8")
    return text if text.strip() and len(text) <= MAX_CELL_CHARS else None


def marked_cells(notebook: str) -> set[str]:
    """The grade_id of every cell of a notebook of ours that nbgrader keeps track of."""
    cells = cells_of(json.loads(notebook))
    return {cell.grade_id for cell in cells if cell.grade_id and (cell.solution or cell.locked)}


def course_secret(path: Path) -> bytes:
    """The course's secret, made on first use and readable by its owner alone.

    Raises:
        CannotGrade: others may read the file; inputs derived from it would be no secret.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(32))
            os.link(temporary, path)  # fails where another process was first: then theirs is the secret
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
        handle = os.open(path, os.O_RDONLY)
    with open(handle) as file:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            raise CannotGrade(f"{path} can be read by others. Set it right: chmod 600 {path}")
        return bytes.fromhex(file.read())


def run_key(secret: bytes, bundle: Bundle) -> str:
    """The key every input of a run derives from: the same for a regrade, unknown to the student."""
    message = f"{bundle.assignment}\n{bundle.sha256}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _refuse_what_leads_elsewhere(folder: Path, submitted: Path) -> None:
    """Links, pipes and devices in a submission: following them would show, copy or grade the files of others."""
    way = [folder, *folder.parents]
    if any(step.is_symlink() for step in way[: way.index(submitted)]):
        raise Unreadable("The folder of the submission is a link. Hand in the files themselves.")
    waiting, seen = [folder], 0
    try:
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_FILES:
                        raise Unreadable(f"There are more than {MAX_FILES} files in the submission. Hand in one.")
                    if _is_folder(entry):
                        waiting.append(Path(entry.path))
    except OSError:
        raise Unreadable("There is no folder that can be read in the submission.") from None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder, as against a file of its own; all else is refused."""
    about = entry.stat(follow_symlinks=False)
    is_file = stat.S_ISREG(about.st_mode)
    if not stat.S_ISDIR(about.st_mode) and (not is_file or about.st_nlink > 1):
        kind = "a link" if is_file or entry.is_symlink() else "no file but a pipe or a device"
        raise Unreadable(f"{ascii(entry.name)[:80]} is {kind}. Hand in the file itself.")
    return stat.S_ISDIR(about.st_mode)


def _document(path: Path) -> dict[str, Any]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe must not hold the grader up
    except OSError:
        raise Unreadable(f"There is no notebook {path.name} in the submission; the file must have that name.") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unreadable(f"{path.name} is not a file.")
    with open(handle, "rb") as file:
        content = file.read(MAX_NOTEBOOK_BYTES + 1)
    if len(content) > MAX_NOTEBOOK_BYTES:
        limit = MAX_NOTEBOOK_BYTES // 2**20
        raise Unreadable(f"The notebook is larger than {limit} MB. Clear its outputs, save it and submit it again.")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable(
            "The file is not a notebook: it is not valid JSON. Save it in Jupyter and submit it again."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise Unreadable(
            "The file is not a notebook of format 4: it has no list of cells. Save it in a current Jupyter."
        )
    if len(document["cells"]) > MAX_CELLS:
        raise Unreadable(f"The notebook has {len(document['cells'])} cells, at most {MAX_CELLS} are read.")
    return document


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
    if any(cell.source.strip() != source.strip() for cell in found):
        return [f"The cell {name!r} was edited. That changes nothing: the original is used for grading."]
    if len(found) > 1:
        return [f"The cell {name!r} is there {len(found)} times. That changes nothing."]
    return []


def _helper_notes(own: list[Cell], sources: Mapping[str, str | None]) -> list[str]:
    """Name what a graded cell takes from a cell of the student's own: there it works, in grading it is missing."""
    defined = {
        match.group(1)
        for cell in own
        for match in re.finditer(
            r"^(?:async\s+def|def|class)\s+([A-Za-z_]\w{0,59})", cell.source[:MAX_CELL_CHARS], re.M
        )
    }
    notes = []
    for name, source in sources.items():
        words = set(re.findall(r"[A-Za-z_]\w*", source or ""))
        here = set(re.findall(r"(?:def|class)\s+([A-Za-z_]\w*)", source or ""))
        for helper in sorted((defined & words) - here):
            notes.append(
                f"The cell of {name!r} mentions {helper!r}, which a cell of your own defines. "
                f"Each exercise is graded from its own cell alone: move {helper!r} into it."
            )
    return notes
