"""The feedback pages of a class in one zip, under the names that Canvas or Moodle gave to what was submitted.

Canvas takes such a zip under "Upload Submissions", Moodle under "Upload multiple feedback files in a zip". Nothing
reaches a student before it is uploaded.
"""

import os
import zipfile
from pathlib import Path

from autograder.controller.course import Course
from autograder.controller.downloads import collected_names
from autograder.controller.names import file_name
from autograder.controller.record import read_class
from autograder.reports.feedback import write_feedback
from autograder.wire.errors import CannotGrade

EPOCH = (1980, 1, 1, 0, 0, 0)


def write_feedback_zip(course: Course, assignment: str) -> tuple[Path, list[str], list[str]]:
    """Build `_build/export/<assignment>/feedback.zip` from the record; the path, who is in it, and who is not.

    Left out is who has no score, or whose work came by no download.

    Raises:
        UsageError: there is no such assignment.
        CannotGrade: nothing was collected from a platform.
    """
    course.require(assignment)
    names = collected_names(course, assignment)
    if not names:
        raise CannotGrade(f"Nothing was collected for {assignment}. Run: autograder collect {assignment} DOWNLOAD.zip")
    record = read_class(course, assignment)
    write_feedback(course, record)
    scored = {one.student for one in record.students if one.score is not None}
    path = course.build / "export" / assignment / "feedback.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for student in sorted(names.keys() & scored):
            page = course.feedback(assignment) / file_name(student) / "index.html"
            entry = zipfile.ZipInfo(f"{names[student].removesuffix('.ipynb')}.html", EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, page.read_bytes())
    os.replace(temporary, path)
    everybody = names.keys() | {one.student for one in record.students}
    return path, sorted(names.keys() & scored), sorted(everybody - (names.keys() & scored))
