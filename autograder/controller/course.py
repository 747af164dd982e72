"""Where a course keeps its things: the folders under its root and the names of its assignments."""

import os
import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.controller.names import is_text
from autograder.wire.errors import CannotGrade, UsageError
from autograder.wire.files import text_of


@dataclass(frozen=True)
class Course:
    """A course folder: the one that holds `nbgrader_config.py`."""

    root: Path

    @property
    def solutions(self) -> Path:
        return self.root / "solutions"

    @property
    def submitted(self) -> Path:
        return self.root / "submitted"

    @property
    def package(self) -> Path:
        """The import package `autograder` of this course: tasks, sample class and the engine students get."""
        return self.root / "autograder"

    @property
    def build(self) -> Path:
        return self.root / "_build"

    @property
    def db_url(self) -> str:
        """nbgrader's own default: gradebook.db at the root."""
        return f"sqlite:///{self.root / 'gradebook.db'}"

    @property
    def ledger_path(self) -> Path:
        return self.root / "ledger.db"

    @property
    def secret_path(self) -> Path:
        return self.root / ".course_secret"

    @property
    def audit_path(self) -> Path:
        return self.root / "audit.jsonl"

    def assignments(self) -> list[str]:
        """The assignments that have a master, in order."""
        return sorted(path.stem for path in self.solutions.glob("*/*.md") if path.stem == path.parent.name)

    def require(self, assignment: str) -> str:
        """The same name, or UsageError naming the ones there are."""
        known = self.assignments()
        if assignment not in known:
            listed = ", ".join(known) or f"none (no solutions/<name>/<name>.md under {self.root})"
            raise UsageError(f"Unknown assignment {assignment!r}. Known: {listed}.")
        return assignment

    def master(self, assignment: str) -> Path:
        return self.solutions / assignment / f"{assignment}.md"

    def solution_notebook(self, assignment: str) -> Path:
        return self.solutions / assignment / f"{assignment}.ipynb"

    def student_notebook(self, assignment: str) -> Path:
        return self.root / "assignments" / assignment / f"{assignment}.ipynb"

    def tasks(self, assignment: str) -> Path:
        return self.package / "tasks" / assignment

    def task(self, assignment: str) -> dict[str, Any]:
        """The assignment's task.toml."""
        path = self.tasks(assignment) / "task.toml"
        try:
            return tomllib.loads(text_of(path))
        except (OSError, ValueError) as error:
            raise CannotGrade(f"{path} cannot be read: {error}") from None

    def sample_class(self, assignment: str) -> Path:
        return self.package / "sample_class" / assignment

    def submission(self, student: str, assignment: str) -> Path:
        return self.submitted / student / assignment / f"{assignment}.ipynb"

    def students(self, assignment: str) -> list[str]:
        """Everyone with a folder for this assignment under `submitted/`, whatever is in it; the name must be text."""
        folders = self.submitted.glob(f"*/{assignment}")
        names = (folder.parent.name for folder in folders if os.path.isdir(folder))
        return sorted(filter(is_text, names))

    def feedback(self, assignment: str) -> Path:
        return self.build / "feedback" / assignment


def find_course(start: Path | None = None) -> Course:
    """The course around `start` (default: the working directory, else the one this package lies in).

    Raises:
        UsageError: no folder upwards holds `nbgrader_config.py`.
    """
    here = (start or Path.cwd()).resolve()
    package_root = Path(__file__).resolve().parents[2]
    candidates = [here, *here.parents] + ([] if start else [package_root])
    for folder in candidates:
        if (folder / "nbgrader_config.py").is_file():
            return Course(folder)
    raise UsageError(f"No course here: no nbgrader_config.py in {here} or above it.")


@contextmanager
def alone(course: Course) -> Iterator[None]:
    """Hold the course for one grading run: two that write the same gradebook would undo each other's scores.

    The lock ends with its process, however that ends.

    Raises:
        CannotGrade: another process grades this course.
    """
    import fcntl  # students' machines may lack it

    course.build.mkdir(parents=True, exist_ok=True)
    path = course.build / "grading.lock"
    with open(path, "ab+", buffering=0) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(100).decode(errors="replace").strip()
            raise CannotGrade(
                f"This course is being graded by another process ({holder}). Wait for it, or end it."
            ) from None
        with suppress(OSError):  # on a full disk it is held without a name in it
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
