"""Each student of the sample class scores what their file says: the cheats what their honest part deserves."""

import json
from collections.abc import Mapping

import pytest

from autograder.assurance.sample import expected_points, sample_students, write_sample_class
from autograder.checks import Check, load_task
from autograder.checks.task_files import kept
from autograder.controller import gradebook
from autograder.controller.course import Course
from autograder.controller.grading import grade
from autograder.controller.record import ClassRecord
from autograder.controller.release import secret_lines, solution_text
from autograder.reports.exports import canvas_csv, exportable, gradescope_results
from autograder.reports.feedback import write_feedback
from tests.autograder.toy import ROOT, link_repository

pytestmark = pytest.mark.slow
REPOSITORY = Course(ROOT)
ASSIGNMENTS = [name for name in REPOSITORY.assignments() if any(REPOSITORY.sample_class(name).glob("*.py"))]
WANTED = {"full_solution", "partial", "untouched_stub", "crash", "endless_loop", "deleted_test_cell"}
CHEATS = {"cheat_display_formatter", "cheat_patched_clock", "cheat_os_exit"}


@pytest.fixture(scope="module", params=ASSIGNMENTS)
def graded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Course, ClassRecord]:
    """The sample class of an assignment, graded by the real judge in a course folder of its own."""
    course = link_repository(tmp_path_factory.mktemp("course"))
    write_sample_class(course, request.param)
    return course, grade(course, request.param)


def test_every_student_scores_as_written(graded: tuple[Course, ClassRecord]) -> None:
    course, report = graded
    checks = load_task(course.tasks(report.assignment)).checks
    students = {student.name: student for student in sample_students(course, report.assignment)}
    assert not report.grader_failed
    assert len(report.students) == len(students)
    for one in report.students:
        assert one.result is not None
        for name, exercise in one.result.exercises.items():
            left_out = {check.name for check in exercise.checks if check.is_disturbed}
            worth = {check.name: check.points for check in checks[name] if check.name not in left_out}
            expected = expected_points(students[one.student], {**_all_points(checks), name: worth})
            shown = [(check.name, check.status, check.message) for check in exercise.checks]
            assert (exercise.score, exercise.max) == (expected[name], sum(worth.values())), (one.student, name, shown)


def test_the_class_has_everyone_a_grader_must_meet(graded: tuple[Course, ClassRecord]) -> None:
    assert {one.student for one in graded[1].students} >= WANTED | CHEATS


def test_nbgrader_holds_the_same_scores(graded: tuple[Course, ClassRecord]) -> None:
    course, report = graded
    book = gradebook.scores(course, report.assignment)
    for one in report.students:
        assert one.result is not None
        assert book[one.student] == {f"{name}_test": exercise.score for name, exercise in one.result.graded.items()}


def test_no_page_or_export_shows_a_line_of_a_solution_or_of_a_hidden_check(graded: tuple[Course, ClassRecord]) -> None:
    course, report = graded
    pages = "".join(path.read_text() for path in write_feedback(course, report))
    found, task = exportable(course, report.assignment), course.task(report.assignment)
    pages += canvas_csv(task["title"], found)
    pages += "".join(json.dumps(gradescope_results(task, one)) for one in found.students if one.score is not None)
    hidden = "\n".join(path.read_text() for path in kept(course.tasks(report.assignment)))
    code = {line.strip() for line in hidden.split("\n") if "=" in line or "(" in line}
    code |= secret_lines(solution_text(course, report.assignment))
    assert [line for line in code if len(line) > 20 and line in pages] == []


def _all_points(checks: Mapping[str, tuple[Check, ...]]) -> dict[str, dict[str, float]]:
    return {name: {check.name: check.points for check in found} for name, found in checks.items()}
