"""Marks that a teacher gives in nbgrader survive grading, or grading refuses; and what waits for a person."""

from datetime import timedelta
from typing import Any

import pytest
from nbgrader.api import Gradebook

from autograder.controller.release import release
from autograder.wire.errors import CannotGrade
from autograder.wire.files import write_durably
from tests.autograder.toy import ADD, DOUBLE, MASTER, TOY, Toy, book, graded


def give_by_hand(toy: Toy, score: float) -> None:
    """What a teacher does in formgrader."""
    with Gradebook(toy.course.db_url) as open_book:
        grade_of_ann: Any = open_book.find_grade("double_test", TOY, TOY, "ann")
        grade_of_ann.manual_score = score
        open_book.db.commit()


def marking(toy: Toy) -> tuple[float, dict[str, bool]]:
    """What nbgrader's gradebook says of the cell `add_test`: what it is worth, and whose mark a person has to give."""
    with Gradebook(toy.course.db_url) as open_book:
        waiting = {
            one.student.id: open_book.find_grade("add_test", TOY, TOY, one.student.id).needs_manual_grade
            for one in open_book.assignment_submissions(TOY)
        }
        return open_book.find_grade_cell("add_test", TOY, TOY).max_score, waiting


def test_nobody_marks_by_hand_what_no_machine_here_can_grade(toy: Toy) -> None:
    for student in ("ann", "bob"):
        toy.submit(student, toy.notebook(add=f"{ADD}  # JUDGE_NEEDS_GPU {student}", double=DOUBLE))
    toy.submit("garbage", "{")
    graded(toy)
    assert marking(toy) == (0, {"ann": False, "bob": False, "garbage": False})
    assert book(toy)["ann"] == {"add_test": None, "double_test": 3.0}
    with Gradebook(toy.course.db_url) as open_book:
        submissions = {one.student.id: one for one in open_book.assignment_submissions(TOY)}
        assert (submissions["ann"].score, submissions["ann"].max_score) == (3.0, 3.0)
        assert [name for name, one in submissions.items() if one.needs_manual_grade] == ["garbage"]
    graded(toy, students=["garbage"])
    assert marking(toy)[0] == 0  # a run that could not tell leaves it as it was


def test_where_somebody_has_points_a_cell_keeps_its_worth_and_the_others_wait(toy: Toy) -> None:
    for student in ("ann", "bob"):
        toy.submit(student, toy.notebook(add=f"{ADD}  # JUDGE_NEEDS_GPU {student}", double=DOUBLE))
    graded(toy)
    toy.submit("bob", toy.notebook(add=ADD, double=DOUBLE))
    graded(toy)
    assert marking(toy) == (2, {"ann": True, "bob": False})
    assert book(toy)["bob"] == {"add_test": 2.0, "double_test": 3.0}


def test_marks_given_by_hand_survive_a_regrade(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    graded(toy)
    give_by_hand(toy, 2.5)
    graded(toy, regrade=True)
    with Gradebook(toy.course.db_url) as open_book:
        assert open_book.find_grade("double_test", TOY, TOY, "ann").score == 2.5


def test_changed_cells_are_graded_unless_hand_marks_would_be_lost(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    graded(toy)
    write_durably(toy.course.master(TOY), MASTER.replace("grade_id: setup", "grade_id: preparation"))
    with pytest.raises(CannotGrade, match=f"autograder release {TOY}"):
        graded(toy)
    release(toy.course, TOY)
    assert graded(toy).json()["scores"]["ann"]["score"] == 2.0
    assert book(toy)["ann"] == {"add_test": 2.0, "double_test": 0.0}
    give_by_hand(toy, 2.5)
    write_durably(toy.course.master(TOY), MASTER)
    release(toy.course, TOY)
    with pytest.raises(CannotGrade, match="marks given by hand"):
        graded(toy)


@pytest.mark.parametrize("given", ["extra_credit", "late_submission_penalty"])
def test_changed_cells_lose_nothing_that_a_person_gave(toy: Toy, given: str) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    graded(toy)
    with Gradebook(toy.course.db_url) as entries:
        notebook = entries.find_submission_notebook(TOY, TOY, "ann")
        setattr(notebook if given == "late_submission_penalty" else notebook.grades[0], given, 0.5)
        entries.db.commit()
    write_durably(toy.course.master(TOY), MASTER.replace("grade_id: setup", "grade_id: preparation"))
    release(toy.course, TOY)
    with pytest.raises(CannotGrade, match="marks given by hand"):
        graded(toy)


def test_an_extension_outlives_changed_cells(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add=ADD))
    graded(toy)
    with Gradebook(toy.course.db_url) as entries:
        entries.grant_extension(TOY, "ann", days=2)
    write_durably(toy.course.master(TOY), MASTER.replace("grade_id: setup", "grade_id: preparation"))
    release(toy.course, TOY)
    assert graded(toy).json()["scores"]["ann"]["score"] == 2.0
    with Gradebook(toy.course.db_url) as entries:
        extension: Any = entries.find_submission(TOY, "ann").extension
    assert extension == timedelta(days=2)
