"""What lies in `submitted/`: the notebook of each student, and what was not understood, with what to do about it.

Nothing in there is opened or followed here: names alone decide.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.controller.course import Course
from autograder.controller.names import is_text
from autograder.wire.text import one_line

LEFT_ALONE = {"__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini"}
NOTEBOOK, ARCHIVE = ".ipynb", (".zip", ".tar", ".gz", ".7z", ".rar")
# smithjane_LATE_123456_9876_a01-1.ipynb: Canvas' name for what student 123456 uploaded as its file 9876
CANVAS_NAME = re.compile(r"(?P<student>[^_]+)_(?:LATE_)?\d+_\d+_(?P<file>.+)", re.I)
MAX_LISTED, MAX_NAME = 3, 160  # names, characters


@dataclass(frozen=True)
class Stray:
    """Something in `submitted/` that may be somebody's work and was not graded.

    Args:
        path: from the course's root.
    """

    path: str
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path} {self.reason}. {self.advice}"


def notebook_in(folder: Path, assignment: str) -> Path:
    """The notebook that counts in a submission: the one with the assignment's name, else the only one there is."""
    right = folder / f"{assignment}{NOTEBOOK}"
    if os.path.lexists(right):
        return right
    found = _notebooks(folder)
    return found[0] if len(found) == 1 else right


def what_is_there(folder: Path) -> str:
    """In words which notebooks a submission without the right one holds instead."""
    found = _notebooks(folder)
    if not found:
        return "It holds no notebook at all."
    listed = ", ".join(one_line(path.name, 80) for path in found[:MAX_LISTED])
    more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    return f"It holds {len(found)} others ({listed}{more}), and only you know which one counts."


def strays(course: Course, assignment: str) -> list[Stray]:
    """What in `submitted/` may be work for this assignment and has no place that the grader reads.

    What clearly belongs to another assignment is left out here: it is told where that one is graded.
    """
    known = course.assignments()
    found = []
    for entry in _entries(course.submitted):
        if not is_text(entry.name):
            found.append(Stray(_shown(course, entry.path), "has a name that is not UTF-8 text", "Rename it."))
            continue
        if entry.is_symlink():
            found.append(_link(course, assignment, entry))
        elif not entry.is_dir():
            found.append(_file(course, assignment, entry.path, entry.name, "<student>"))
            continue
        for inner in _entries(Path(entry.path)):
            if inner.is_dir():
                if inner.name not in known:
                    found.append(_folder(course, assignment, entry.name, inner))
            else:
                found.append(_file(course, assignment, inner.path, inner.name, entry.name))
    return [one for one in found if one is not None]


def _link(course: Course, assignment: str, entry: "os.DirEntry[str]") -> Stray | None:
    """A link in the place of a student's folder; where it leads to a submission, that is refused by name."""
    if (Path(entry.path) / assignment).is_dir():
        return None
    return Stray(_shown(course, entry.path), "is a link", "Put the files themselves there.")


def _file(course: Course, assignment: str, path: str, name: str, student: str) -> Stray | None:
    """A file that lies in `submitted/` or in a student's folder instead of in an assignment's."""
    if belongs_elsewhere(course, assignment, name):
        return None
    canvas = CANVAS_NAME.fullmatch(name)
    student = canvas["student"] if canvas and student == "<student>" else student
    place = f"submitted/{one_line(student, MAX_NAME)}/{assignment}"
    if name.endswith(ARCHIVE):
        return Stray(_shown(course, path), "is an archive", f"Unpack it; each notebook belongs into {place}/.")
    if not name.endswith(NOTEBOOK):
        return Stray(_shown(course, path), "is no notebook", f"If it is somebody's work, {place}/ is its place.")
    reason = "is named as Canvas names downloads" if canvas else "lies in no assignment's folder"
    return Stray(_shown(course, path), reason, f"Move it to {place}/{assignment}{NOTEBOOK}.")


def _folder(course: Course, assignment: str, student: str, inner: "os.DirEntry[str]") -> Stray | None:
    """A folder of a student whose name is that of no assignment."""
    if student in course.assignments():
        if student != assignment:
            return None
        advice = f"Move it to submitted/{one_line(inner.name, MAX_NAME)}/{assignment}."
        return Stray(_shown(course, inner.path), "has student and assignment the wrong way round", advice)
    if belongs_elsewhere(course, assignment, inner.name):
        return None
    reason = "has not the name of an assignment"
    advice = f"If it is {assignment}, rename it to submitted/{one_line(student, MAX_NAME)}/{assignment}."
    if (Path(inner.path).parent / assignment).exists():
        advice = f"Graded was submitted/{one_line(student, MAX_NAME)}/{assignment}; remove what does not count."
    return Stray(_shown(course, inner.path), reason, advice)


def belongs_elsewhere(course: Course, assignment: str, name: str) -> bool:
    """Whether a name speaks of another assignment, in full or by its number, and not of this one."""
    said = re.sub(r"[^a-z0-9]+", "_", name.casefold())

    def speaks_of(one: str) -> bool:
        number = re.match(r"([a-z]+)0*(\d+)(?![a-z0-9])", one.casefold().replace("-", "_"))
        by_number = number and re.search(rf"(?<![a-z0-9]){number[1]}_?0*{number[2]}(?![a-z0-9])", said)
        return re.sub(r"[^a-z0-9]+", "_", one.casefold()) in said or bool(by_number)

    others = [one for one in course.assignments() if one != assignment and speaks_of(one)]
    return bool(others) and not speaks_of(assignment)


def _notebooks(folder: Path) -> list[Path]:
    found = [Path(entry.path) for entry in _entries(folder) if entry.name.endswith(NOTEBOOK)]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """What lies in a folder, by name; hidden files and what operating systems leave behind are left out."""
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in listed:
        if not entry.name.startswith((".", "~")) and entry.name not in LEFT_ALONE:
            yield entry


def _shown(course: Course, path: str) -> str:
    return one_line(os.path.relpath(path, course.root), MAX_NAME)
