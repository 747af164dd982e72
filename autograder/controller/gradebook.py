"""Drive nbgrader: its settings, the assignment in its gradebook, and its autograde step for one student.

nbgrader imports slowly and logs a lot, so everything of it is imported where it is used and its log goes to a file.
"""

import logging
import os
import stat
import sysconfig
import tempfile
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.cells.released import marked_cells
from autograder.controller.course import Course
from autograder.controller.names import shown
from autograder.wire.errors import AutograderError, CannotGrade
from autograder.wire.text import printable

if TYPE_CHECKING:
    from traitlets.config import Config

_one_at_a_time = threading.RLock()  # nbgrader changes the working directory; one step of it starts another


def nbgrader_settings(course: Course) -> "Config":
    """What `nbgrader_config.py` at the course's root says."""
    from traitlets.config.loader import PyFileConfigLoader

    return PyFileConfigLoader("nbgrader_config.py", path=str(course.root)).load_config()


def generate_student_notebook(course: Course, assignment: str, source: str) -> str:
    """The student notebook that nbgrader makes of a solution notebook (both as text); no gradebook is touched."""
    from nbgrader.preprocessors import SaveCells

    with tempfile.TemporaryDirectory() as staging:
        converter = _generator(course, assignment, source, Path(staging))
        converter.no_database = True
        converter.preprocessors = [step for step in converter.preprocessors if step is not SaveCells]
        _run(course, converter, f"generate {assignment}")
        return (Path(staging) / "assignments" / assignment / f"{assignment}.ipynb").read_text(encoding="utf-8")


def register(course: Course, assignment: str, source: str, db_url: str | None = None) -> None:
    """Make the gradebook know the assignment's cells and points as the solution notebook `source` has them.

    Raises:
        CannotGrade: cells came or went after grading began, and the gradebook holds marks given by hand.
    """
    db_url = db_url or course.db_url
    with opened(db_url) as book:
        _make_room(book, assignment, marked_cells(source))
        before = {cell.name: cell.max_score for cell in _graded_cells(book, assignment)}
        left_out = {name: 0.0 for name, worth in before.items() if worth == 0}
    with tempfile.TemporaryDirectory() as staging:
        converter = _generator(course, assignment, source, Path(staging))
        converter.coursedir.db_url = db_url
        _run(course, converter, f"register {assignment}")
    set_maxima(db_url, assignment, left_out)
    with opened(db_url) as book:
        _renew_extended(book, assignment)
        for cell in _graded_cells(book, assignment):
            if before.get(cell.name, cell.max_score) != cell.max_score:
                for grade in cell.grades:  # a mark of 5 of 6 may not be what a person gives of 8
                    grade.needs_manual_grade |= grade.manual_score is not None
        book.db.commit()


def autograde(course: Course, assignment: str, student: str, settings: "Config | None" = None) -> None:
    """Run nbgrader's own autograde step for one student; our step in it records the ledger's result."""
    from nbgrader.converters import Autograde
    from nbgrader.coursedir import CourseDirectory

    class OneFolder(CourseDirectory):
        def get_existing_timestamp(self, dest_path: str) -> Any:  # nbgrader's own opens pipes and fails on nonsense
            try:
                is_file = stat.S_ISREG(os.lstat(os.path.join(dest_path, "timestamp.txt")).st_mode)
                return super().get_existing_timestamp(dest_path) if is_file else None
            except (Exception, SystemExit):
                return None

    config = settings or nbgrader_settings(course)
    directory = OneFolder(config=config, root=str(course.root))
    directory.ignore = ["*"]  # nothing that lies beside the notebook is copied anywhere
    directory.assignment_id, directory.student_id, directory.notebook_id = assignment, student, assignment
    folder = directory.format_path(directory.submitted_directory, student, assignment)

    class OneSubmission(Autograde):
        def _format_source(self, assignment_id: str, student_id: str, escape: bool = False) -> str:
            found = super()._format_source(assignment_id, student_id, escape=escape)
            return f"(?s){found}" if escape else found  # a pattern, in which a name may hold ends of lines

        def init_assignment(self, assignment_id: str, student_id: str) -> None:
            with _marks_kept(course.db_url, assignment_id, student_id):
                super().init_assignment(assignment_id, student_id)

        def init_notebooks(self) -> None:  # nbgrader's own takes a name such as "ann [2]" for a pattern
            self.assignments, self.notebooks = {folder: [os.path.join(folder, f"{assignment}.ipynb")]}, []

    _run(course, OneSubmission(coursedir=directory, config=config), f"autograde {assignment} of {shown(student)}")


def reset(db_url: str, assignment: str, student: str, changed: Collection[str] = ()) -> None:
    """Forget a submission's automatic scores, in one transaction: until graded again it waits for a person.

    A mark given by hand stands. nbgrader's sign that it needs another look stays as it is, and is set where the code
    is another than the one that was marked.

    Args:
        changed: the exercises with other code than before.
    """
    from nbgrader.api import MissingEntry

    with opened(db_url) as book:
        try:
            submission = book.find_submission(assignment, student)
        except MissingEntry:
            return
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                grade.auto_score = None
                if grade.manual_score is None or grade.cell.name.removesuffix("_test") in changed:
                    grade.needs_manual_grade = True
        book.db.commit()


@contextmanager
def _marks_kept(db_url: str, assignment: str, student: str) -> Iterator[None]:
    """Which marks by hand want another look stays as it is: nbgrader forgets it where a notebook has another name."""
    from nbgrader.api import MissingEntry

    def marked(book: Any) -> list[Any]:
        try:
            notebooks = book.find_submission(assignment, student).notebooks
        except MissingEntry:
            return []
        return [grade for notebook in notebooks for grade in notebook.grades if grade.manual_score is not None]

    with opened(db_url) as book:
        before = {grade.cell.name: grade.needs_manual_grade for grade in marked(book)}
    yield
    with opened(db_url) as book:
        for grade in marked(book):
            grade.needs_manual_grade = before.get(grade.cell.name, grade.needs_manual_grade)
        book.db.commit()


def set_maxima(db_url: str, assignment: str, maxima: Mapping[str, float]) -> None:
    """Say what graded cells are worth: 0 is for those that this machine cannot grade, for want of a GPU.

    nbgrader has one maximum for all students. So a cell that somebody has points in keeps it, and those who could not
    be graded there wait for a person; otherwise nobody has to mark anything.
    """
    with opened(db_url) as book:
        for cell in _graded_cells(book, assignment):
            wanted = maxima.get(cell.name, cell.max_score)
            if wanted == cell.max_score or (wanted == 0 and any(_has_points(grade) for grade in cell.grades)):
                continue
            cell.max_score = wanted
            _renew_checksum(book.find_source_cell(cell.name, assignment, assignment), wanted)
            for grade in cell.grades:
                if grade.manual_score is None:
                    grade.needs_manual_grade = grade.auto_score is None and wanted > 0
        book.db.commit()


def scores(course: Course, assignment: str) -> dict[str, dict[str, float | None]]:
    """What the gradebook holds: student -> graded cell -> automatic score, None where there is none."""
    with opened(course.db_url) as book:
        return {
            submission.student.id: {
                grade.cell.name: grade.auto_score for notebook in submission.notebooks for grade in notebook.grades
            }
            for submission in book.assignment_submissions(assignment)
        }


@contextmanager
def opened(db_url: str) -> Iterator[Any]:
    """nbgrader's gradebook. It makes a new one with the `alembic` of this environment, activated or not.

    Raises:
        CannotGrade: the database does not take or give what it should, such as on a full disk.
    """
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import SQLAlchemyError

    scripts = sysconfig.get_path("scripts")
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    try:
        with Gradebook(db_url) as book:
            yield book
    except SQLAlchemyError as error:
        raise CannotGrade(f"The gradebook {db_url} cannot be used: {error}") from error


def _generator(course: Course, assignment: str, source: str, staging: Path) -> Any:
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory

    folder = staging / "solutions" / assignment
    folder.mkdir(parents=True)
    (folder / f"{assignment}.ipynb").write_text(source, encoding="utf-8")
    config = nbgrader_settings(course)
    directory = CourseDirectory(config=config, root=str(staging))
    directory.source_directory, directory.release_directory = "solutions", "assignments"
    directory.assignment_id = directory.notebook_id = assignment
    return GenerateAssignment(coursedir=directory, config=config)


class _Plain(logging.Formatter):
    """Lines that say in which step they came, with nothing in them that a terminal would obey."""

    def __init__(self, what: str) -> None:
        super().__init__("%(message)s")
        self._what = what  # no part of the format: a name may hold a "%"

    def format(self, record: logging.LogRecord) -> str:
        return printable(f"{self.formatTime(record)} {self._what}: {super().format(record)}")


def _run(course: Course, converter: Any, what: str) -> None:
    """Run an nbgrader converter with its log in a file; its own failure becomes CannotGrade with the log's end."""
    log = logging.getLogger("autograder.nbgrader")
    log.propagate = False
    log.setLevel(logging.INFO)
    course.build.mkdir(exist_ok=True)
    log_path = course.build / "nbgrader.log"
    handler = logging.FileHandler(log_path, encoding="utf-8")
    handler.setFormatter(_Plain(what))
    log.addHandler(handler)
    converter.log = log
    try:
        with _one_at_a_time, _without_remarks():
            converter.start()
    except AutograderError:
        raise
    except (Exception, SystemExit) as error:
        raise CannotGrade(f"nbgrader could not {what}: {error} (its log: {log_path})") from error
    finally:
        log.removeHandler(handler)
        handler.close()


@contextmanager
def _without_remarks() -> Iterator[None]:
    """nbgrader 0.9.6 builds its rows in an order that SQLAlchemy 2.1 remarks on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object of type <Submitted", category=Warning)
        yield


def _graded_cells(book: Any, assignment: str) -> list[Any]:
    from nbgrader.api import MissingEntry

    try:
        return list(book.find_notebook(assignment, assignment).grade_cells)
    except MissingEntry:
        return []


def _has_points(grade: Any) -> bool:
    return grade.auto_score is not None or grade.manual_score is not None


def _renew_checksum(source: Any, points: float) -> None:
    """nbgrader holds a graded cell's points in its checksum, too."""
    from nbformat import from_dict
    from nbgrader.utils import compute_checksum

    mark = {"grade_id": source.name, "grade": True, "solution": False, "locked": True, "points": points}
    cell = {"source": source.source, "cell_type": source.cell_type, "metadata": {"nbgrader": mark}}
    source.checksum = compute_checksum(from_dict(cell))


def _make_room(book: Any, assignment: str, wanted: set[str]) -> None:
    """Where cells came or went, drop the submissions from the gradebook: nbgrader refuses to change graded notebooks.

    The automatic scores come back with this very run; what a person entered would not, so then it refuses.
    """
    from nbgrader.api import MissingEntry

    try:
        notebook = book.find_notebook(assignment, assignment)
    except MissingEntry:
        return
    submissions = book.assignment_submissions(assignment)
    if not submissions or {cell.name for cell in notebook.source_cells} == wanted:
        return
    for submission in submissions:
        for graded in submission.notebooks:
            if _has_of_a_person(submission, graded):
                raise CannotGrade(
                    f"The cells of {assignment} have changed, and the gradebook holds marks given by hand "
                    f"(student {submission.student.id!r}). Export them and move gradebook.db away, then grade again."
                )
    for submission in submissions:
        student = submission.student.id
        if submission.extension is None:
            book.remove_submission(assignment, student)
        else:
            for graded in list(submission.notebooks):
                book.remove_submission_notebook(graded.name, assignment, student)


def _has_of_a_person(submission: Any, graded: Any) -> bool:
    """Whether a submission holds what no grading brings back; a penalty without times was given by hand."""
    is_timed = submission.timestamp is not None and submission.assignment.duedate is not None
    marks = any(grade.manual_score is not None or grade.extra_credit for grade in graded.grades)
    comments = any(comment.manual_comment for comment in graded.comments)
    return marks or comments or bool(graded.late_submission_penalty and not is_timed)


def _renew_extended(book: Any, assignment: str) -> None:
    """Submissions of which nothing but an extension was kept get the cells that the assignment has now."""
    for submission in book.assignment_submissions(assignment):
        if not submission.notebooks:
            student, extension = submission.student.id, submission.extension
            book.remove_submission(assignment, student)
            with _without_remarks():
                book.add_submission(assignment, student, extension=extension)
