"""The notebook that a student submitted, read as a bundle: the same for whoever grades, exports or replays it.

Nothing on the way to it and nothing that lies beside it may lead anywhere else.
"""

import os
import stat
from dataclasses import replace
from pathlib import Path

from autograder.cells.bundle import Bundle, read_bundle, unreadable
from autograder.cells.notebook_file import Unreadable
from autograder.cells.released import ReleasedNotebook
from autograder.controller.course import Course
from autograder.controller.submissions import notebook_in, what_is_there

MAX_FILES = 1000  # in one submission


def read_submission(course: Course, student: str, assignment: str, released: ReleasedNotebook) -> Bundle:
    """What a student submitted, the same for whoever grades, exports or replays it."""
    folder = course.submission(student, assignment).parent
    path = notebook_in(folder, assignment)
    found = read_submitted(path, assignment, released, course.submitted)
    if found.readable and path.stem != assignment:
        note = f"The notebook is called {ascii(path.name)[1:-1][:80]} instead of {assignment}.ipynb. It was graded."
        return replace(found, notes=(note, *found.notes))
    if not found.readable and not os.path.lexists(path) and folder.is_dir() and not folder.is_symlink():
        return replace(found, notes=(f"{found.notes[0]} {what_is_there(folder)}",))
    return found


def read_submitted(path: Path, assignment: str, released: ReleasedNotebook, submitted: Path) -> Bundle:
    """Read one of the notebooks under `submitted`, the folder of all submissions."""
    try:
        _refuse_what_leads_elsewhere(path.parent, submitted)
    except Unreadable as error:
        return unreadable(assignment, released, str(error))
    return read_bundle(path, assignment, released)


def _refuse_what_leads_elsewhere(folder: Path, submitted: Path) -> None:
    """Links, pipes and devices in a submission: following them would show, copy or grade the files of others."""
    way = [folder, *folder.parents]
    waiting, seen = [folder], 0
    try:
        if any(step.is_symlink() for step in way[: way.index(submitted)]):
            raise Unreadable("The folder of the submission is a link. Submit the files themselves.")
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_FILES:
                        raise Unreadable(f"There are more than {MAX_FILES} files in the submission. Submit one.")
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
        raise Unreadable(f"{ascii(entry.name)[:80]} is {kind}. Submit the file itself.")
    return stat.S_ISDIR(about.st_mode)
