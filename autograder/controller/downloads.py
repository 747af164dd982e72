"""Downloads of Canvas and Moodle as they come: whose each notebook is, by the roster, and its place in submitted/.

Canvas' "Download Submissions" is a zip of smithjane_LATE_4711_9876_a01-2.ipynb: the student's name in letters, LATE
where it was, the student's and the file's numbers in Canvas, the uploaded name, and -N for the N-th resubmission.
Moodle's "Download all submissions" has Jane Smith_123_assignsubmission_file_/a01.ipynb, in a folder or not. Whom
the roster does not know, or knows twice, is left out and listed: nobody gets another's work by a guess.
"""

import csv
import json
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autograder.controller import gradebook
from autograder.controller.course import Course
from autograder.controller.names import is_text
from autograder.controller.submissions import LEFT_ALONE, belongs_elsewhere
from autograder.wire.errors import UsageError
from autograder.wire.files import write_durably

CANVAS = re.compile(r"(?P<letters>[^_]+)(?P<late>_LATE)?_(?P<user>\d+)_(?P<upload>\d+)_(?P<file>.+)", re.I)
AGAIN = re.compile(r"-(\d+)$")
MOODLE = re.compile(r"(?P<name>.+?)_\d+_assignsubmission_file_?/?(?P<file>.+)")
MAX_BYTES = 20 * 2**20
TEST_STUDENT = "Student, Test"


@dataclass(frozen=True)
class RosterRow:
    """Somebody in the roster: the name of the folder in submitted/, the person's names, and the number in Canvas."""

    student: str
    first: str
    last: str
    lms_id: str


@dataclass
class Collected:
    """What came of a download; `left_out` says why of each file that was not taken."""

    taken: dict[str, str] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    """One file of a download; `read` gives its bytes."""

    name: str
    size: int
    read: Callable[[], bytes]


def import_canvas_roster(course: Course, path: Path) -> list[RosterRow]:
    """Take Canvas' gradebook export (Grades, Export) as the roster: logins, names and numbers into nbgrader's list.

    Raises:
        UsageError: it is no such file.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if not rows or not {"Student", "ID"} <= rows[0].keys():
        raise UsageError(f"{path} is no export of Canvas' gradebook: its first line has no Student and ID.")
    people = [_person(row) for row in rows if (row["ID"] or "").strip().isdigit() and row["Student"] != TEST_STUDENT]
    unusable = [one.student for one in people if not _is_folder_name(one.student)]
    if unusable:
        raise UsageError(f"{unusable[0]!r} cannot be the name of a folder.")
    with gradebook.opened(course.db_url) as book:
        for one in people:
            book.update_or_create_student(
                one.student, first_name=one.first, last_name=one.last, lms_user_id=one.lms_id
            )  # fmt: skip
    return people


def collect(course: Course, assignment: str, source: Path) -> Collected:
    """Put each notebook of a download (a zip, or the folder it was unpacked into) where the grader reads it.

    Raises:
        UsageError: there is no such download, or no roster.
    """
    course.require(assignment)
    people = _roster(course)
    if not people:
        raise UsageError("There is no roster to find students in. Run: autograder roster GRADES.csv, Canvas' export.")
    found, candidates = Collected(), defaultdict(list)
    for file in _files(source):
        if not file.name.endswith(".ipynb"):
            found.left_out[file.name] = "is no notebook"
        elif belongs_elsewhere(course, assignment, _uploaded(file.name)):
            found.left_out[file.name] = "is named after another assignment"
        else:
            owners, rank, late = _whose(file.name, people)
            if len(owners) == 1:
                candidates[owners[0]].append((rank, late, file))
            else:
                found.left_out[file.name] = f"{len(owners) or 'nobody'} in the roster {'fit' if owners else 'fits'}"
    for student, files in sorted(candidates.items()):
        _take(course, assignment, student, files, found)
    names = {**collected_names(course, assignment), **found.taken}
    write_durably(_names_path(course, assignment), json.dumps(names))
    return found


def collected_names(course: Course, assignment: str) -> dict[str, str]:
    """student -> the name under which a download had their work."""
    path = _names_path(course, assignment)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _names_path(course: Course, assignment: str) -> Path:
    return course.build / "collected" / f"{assignment}.json"


def _take(
    course: Course, assignment: str, student: str, files: list[tuple[tuple[int, int], bool, _File]], found: Collected
) -> None:
    named = [one for one in files if Path(_uploaded(one[2].name)).stem.startswith(assignment)]
    best = max(rank for rank, _, _ in named or files)
    chosen = [one for one in named or files if one[0] == best]
    for _, _, file in files:
        if len(chosen) > 1:
            found.left_out[file.name] = f"{student} has {len(chosen)} notebooks, and only you know which one counts"
        elif file is not chosen[0][2]:
            found.left_out[file.name] = "is not the last of several"
    if len(chosen) > 1:
        return
    _, late, file = chosen[0]
    if file.size > MAX_BYTES:
        found.left_out[file.name] = f"is larger than {MAX_BYTES >> 20} MB"
        return
    folder = course.submitted / student / assignment
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / ".collected"
    temporary.write_bytes(file.read())
    os.replace(temporary, folder / f"{assignment}.ipynb")
    found.taken[student] = file.name
    if late:
        found.late.append(student)


def _whose(name: str, people: list[RosterRow]) -> tuple[list[str], tuple[int, int], bool]:
    """Who in the roster a file is of, its rank among several of theirs, and whether Canvas called it late."""
    if moodle := MOODLE.fullmatch(name):
        wanted = _letters(moodle["name"])
        return [one.student for one in people if wanted == _letters(f"{one.first} {one.last}")], (0, 0), False
    canvas = CANVAS.fullmatch(name.rpartition("/")[2])
    if canvas is None:
        return [], (0, 0), False
    again = AGAIN.search(Path(canvas["file"]).stem)
    rank = (int(again[1]) if again else 0, int(canvas["upload"]))
    by_number = [one.student for one in people if one.lms_id == canvas["user"]]
    letters = canvas["letters"].casefold()
    by_letters = [one.student for one in people if letters == _letters(f"{one.last}{one.first}") and not one.lms_id]
    return by_number or by_letters, rank, bool(canvas["late"])


def _uploaded(name: str) -> str:
    """The name under which a student uploaded a file."""
    found = MOODLE.fullmatch(name) or CANVAS.fullmatch(name.rpartition("/")[2])
    return found["file"] if found else name


def _letters(name: str) -> str:
    return "".join(one for one in name.casefold() if one.isalnum())


def _files(source: Path) -> Iterator[_File]:
    """The files of a zip or of a folder, with what operating systems leave behind and links left out."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            if path.is_file() and not path.is_symlink() and not _is_noise(name) and is_text(name):
                yield _File(name, path.stat().st_size, path.read_bytes)
        return
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{source} is neither a folder nor a zip: {error}") from None
    with archive:
        for entry in archive.infolist():
            if not entry.is_dir() and not _is_noise(entry.filename):
                yield _File(entry.filename, entry.file_size, lambda entry=entry: _unpacked(source, entry))


def _unpacked(source: Path, entry: zipfile.ZipInfo) -> bytes:
    with zipfile.ZipFile(source) as archive, archive.open(entry) as handle:
        return handle.read(MAX_BYTES)


def _is_noise(name: str) -> bool:
    return any(part in LEFT_ALONE or part.startswith(".") for part in name.split("/"))


def _roster(course: Course) -> list[RosterRow]:
    with gradebook.opened(course.db_url) as book:
        return [
            RosterRow(one.id, one.first_name or "", one.last_name or "", one.lms_user_id or "") for one in book.students
        ]


def _person(row: dict[str, str]) -> RosterRow:
    last, _, first = row["Student"].partition(",")
    login = next(filter(None, ((row.get(name) or "").strip() for name in ("SIS Login ID", "SIS User ID", "ID"))), "")
    return RosterRow(login.partition("@")[0], first.strip(), last.strip(), row["ID"].strip())


def _is_folder_name(name: str) -> bool:
    return bool(name) and is_text(name) and "/" not in name and "\0" not in name and not name.startswith(".")
