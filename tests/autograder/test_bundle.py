"""A bundle is the student's source by grade_id, whatever else the file holds."""

import json
import os
import stat
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbgrader.api import Gradebook

from autograder.cells.bundle import MAX_CELL_CHARS, Bundle, bundle_of, read_bundle
from autograder.cells.notebook_file import MAX_CELLS, MAX_NOTEBOOK_BYTES
from autograder.cells.released import ReleasedNotebook, cells_of
from autograder.controller.grading import grade
from autograder.controller.run_keys import course_secret, run_key
from autograder.controller.submitted_notebook import read_submission
from autograder.wire.errors import CannotGrade
from tests.autograder.toy import TOY, Toy

RIGHT = "def add(a, b):\n    return a + b"


def cell(grade_id: object, source: object, **fields: object) -> dict:
    return {
        "cell_type": "code",
        "metadata": {"nbgrader": {"grade_id": grade_id, "solution": True}},
        "source": source,
        **fields,
    }


def released() -> ReleasedNotebook:
    """Two exercises, `add` and `double`, and the graded cell `add_test`."""
    return ReleasedNotebook({"cells": []}, {"add": "# stub", "double": "# stub"}, {"add_test": "check(add)"})


def bundle(*cells: object) -> Bundle:
    return bundle_of(cells_of({"cells": list(cells)}), TOY, released())


def test_takes_each_exercise_by_grade_id(toy: Toy) -> None:
    path = toy.submit("ann", toy.notebook(add=RIGHT))
    found = read_bundle(path, TOY, toy.released())
    assert found.readable
    assert found.notes == ()
    assert found.cells["add"] == RIGHT
    assert found.cells["double"] == toy.released().stubs["double"]


def test_last_cell_with_a_grade_id_wins_and_the_student_is_told() -> None:
    found = bundle(cell("add", "first"), cell("double", "d"), cell("add", "second"), cell("add_test", "check(add)"))
    assert found.cells["add"] == "second"
    assert any("2 cells are marked 'add'" in note for note in found.notes)


def test_deleted_and_edited_test_cells_are_noted_and_change_nothing() -> None:
    whole = bundle(cell("add", "a"), cell("double", "d"), cell("add_test", "check(add)"))
    deleted = bundle(cell("add", "a"), cell("double", "d"))
    edited = bundle(cell("add", "a"), cell("double", "d"), cell("add_test", "pass"))
    assert whole.notes == ()
    assert "was deleted" in deleted.notes[0]
    assert "was edited" in edited.notes[0]
    assert whole.sha256 == deleted.sha256 == edited.sha256


def test_missing_solution_cell_is_none_and_noted() -> None:
    found = bundle(cell("add", "a"), cell("add_test", "check(add)"))
    assert found.cells["double"] is None
    assert "'double' is missing" in found.notes[0]


def test_unknown_grade_id_is_left_out_and_noted() -> None:
    found = bundle(cell("add", "a"), cell("double", "d"), cell("add_test", "check(add)"), cell("bonus", "x"))
    assert set(found.cells) == {"add", "double"}
    assert "'bonus'" in found.notes[0]


def test_helper_in_an_own_cell_is_named() -> None:
    own = {"cell_type": "code", "metadata": {}, "source": "def helper(x):\n    return x"}
    found = bundle(
        cell("add", "def add(a, b):\n    return helper(a)"), cell("double", "d"), cell("add_test", "check(add)"), own
    )
    assert len(found.notes) == 1
    assert "move 'helper' into it" in found.notes[0]


def test_outputs_and_metadata_are_no_part_of_the_bundle() -> None:
    plain = bundle(cell("add", "a"))
    decorated = bundle(cell("add", "a", outputs=[{"output_type": "execute_result", "data": {"text/plain": "99"}}]))
    assert plain.sha256 == decorated.sha256


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{not json", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 200_000, "not valid JSON"),
        (b"[]", "no list of cells"),
        (b'{"worksheets": []}', "no list of cells"),
        (b'{"cells": 3}', "no list of cells"),
        (b" " * (MAX_NOTEBOOK_BYTES + 1), "larger than 20 MB"),
        (b'{"cells": [' + b"{}," * MAX_CELLS + b"{}]}", "5001 cells, at most 5000 are read"),
    ],
)
def test_what_is_no_notebook_is_unreadable_and_says_why(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    found = read_bundle(path, TOY, released())
    assert not found.readable
    assert said in found.notes[0]
    assert set(found.cells.values()) == {None}


def test_missing_file_folder_and_pipe_are_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    for name in ("missing", "pipe", "folder"):
        assert not read_bundle(tmp_path / f"{name}.ipynb", TOY, released()).readable


def test_lone_surrogates_and_huge_cells_cannot_pass() -> None:
    found = bundle(cell("add", "x = '\ud800'"), cell("double", "x" * (MAX_CELL_CHARS + 1)))
    source = found.cells["add"]
    assert source is not None
    assert source.encode() == b"x = '?'"
    assert found.cells["double"] is None
    assert any("longer than" in note for note in found.notes)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["add", "add_test", "code"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["cells", "metadata", "nbgrader", "grade_id", "solution", "source", "cell_type", "x"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({"cells": st.lists(json_values)}) | json_values)
def test_no_document_whatever_raises(tmp_path: Path, document: object) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(document))
    found = read_bundle(path, TOY, released())
    assert set(found.cells) == {"add", "double"}
    assert all(value is None or isinstance(value, str) for value in found.cells.values())
    assert len(found.sha256) == 64


def test_equal_sources_give_equal_names_and_others_do_not() -> None:
    assert Bundle("a", {"x": "1"}).sha256 == Bundle("a", {"x": "1"}, ("a note",)).sha256
    names = {Bundle(a, {"x": x}).sha256 for a in ("a", "b") for x in ("1", "2", None)}
    assert len(names) == 6


def test_secret_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".course_secret"
    secret = course_secret(path)
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert course_secret(path) == secret
    assert [entry.name for entry in tmp_path.iterdir()] == [".course_secret"]


def test_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".course_secret"
    course_secret(path)
    path.chmod(0o644)
    with pytest.raises(CannotGrade, match="chmod 600"):
        course_secret(path)


def test_run_key_depends_on_secret_assignment_and_sources() -> None:
    keys = {
        run_key(secret, Bundle(assignment, {"x": source}))
        for secret in (b"1" * 32, b"2" * 32)
        for assignment in ("a", "b")
        for source in ("1", "2")
    }
    assert len(keys) == 8
    assert run_key(b"1" * 32, Bundle("a", {"x": "1"})) in keys


def submission(toy: Toy, student: str = "ann") -> Path:
    """A right notebook, in the folder of a student."""
    return toy.submit(student, toy.notebook(add=RIGHT))


def handed_in(toy: Toy, student: str = "ann") -> Bundle:
    return read_submission(toy.course, student, TOY, toy.released())


def test_a_submission_of_plain_files_is_read(toy: Toy) -> None:
    path = submission(toy)
    path.with_name("notes.txt").write_text("mine")
    (path.parent / "data").mkdir()
    assert handed_in(toy).readable


def link_the_notebook(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


def link_it_hard(path: Path, other: Path) -> None:
    path.unlink()
    os.link(other, path)


def link_the_folder(path: Path, other: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(other.parent)


def link_the_student(path: Path, other: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.parent.rmdir()
    path.parent.parent.symlink_to(other.parent.parent)


def lay_a_link_beside_it(path: Path, other: Path) -> None:
    (path.parent / "b").symlink_to("/etc/passwd")


def lay_a_pipe_beside_it(path: Path, other: Path) -> None:
    os.mkfifo(path.parent / "timestamp.txt")


def lay_thousands_beside_it(path: Path, other: Path) -> None:
    for number in range(1001):
        (path.parent / str(number)).touch()


@pytest.mark.parametrize(
    "trick",
    [link_the_notebook, link_it_hard, link_the_folder, link_the_student, lay_a_link_beside_it, lay_a_pipe_beside_it,
     lay_thousands_beside_it],
)  # fmt: skip
def test_a_submission_that_leads_elsewhere_is_told_so_and_not_followed(toy: Toy, trick: Callable) -> None:
    trick(submission(toy), submission(toy, "bob"))
    found = handed_in(toy)
    assert not found.readable
    assert set(found.cells.values()) == {None}
    assert found.notes[0].isprintable()
    assert "Submit" in found.notes[0] or "submit" in found.notes[0]
    report = grade(toy.course, TOY, policy=toy.policy)
    scores = report.json()["scores"]
    assert scores["ann"] == {"score": None, "max": None}
    assert not report.grader_failed
    assert not (toy.course.root / "autograded" / "ann" / TOY / "b").exists()
    if trick is not link_it_hard:  # then neither of the two is told from the other
        assert scores["bob"] == {"score": 2.0, "max": 5.0}


LATE = """
c.LateSubmissionPlugin.penalty_method = "zero"
"""
BELIEVED = "c.SubmissionExporter.believes_timestamps = True\n"


@pytest.mark.parametrize("believed", [False, True])
def test_a_time_that_a_student_can_write_says_nothing_about_lateness(toy: Toy, believed: bool) -> None:
    """Unless the instructor says that it is not the students who write it."""
    config = toy.course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + LATE + BELIEVED * believed)
    with Gradebook(toy.course.db_url) as book:
        book.update_or_create_assignment(TOY, duedate=datetime(2026, 3, 2))
    submission(toy, "ann").with_name("timestamp.txt").write_text("2001-01-01 00:00:00 UTC")
    submission(toy, "bob").with_name("timestamp.txt").write_text("2026-03-03 00:00:00 UTC")
    scores = grade(toy.course, TOY, policy=toy.policy).json()["scores"]
    assert (scores["ann"]["score"], scores["bob"]["score"]) == (2.0, 0.0 if believed else 2.0)
    with Gradebook(toy.course.db_url) as book:
        known = book.find_submission(TOY, "ann").timestamp
    assert known == (datetime(2001, 1, 1) if believed else None)


def test_a_bogus_timestamp_ends_nobodys_grading(toy: Toy) -> None:
    for student, stamp in (("ann", b"yesterday"), ("bob", b"\xff\xfe"), ("cat", b"")):
        submission(toy, student).with_name("timestamp.txt").write_bytes(stamp)
    assert grade(toy.course, TOY, policy=toy.policy).json()["graded"] == 3


def test_a_cell_type_as_deep_as_can_be_read_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    for depth in range(900, 1000, 3):
        deep = "[" * depth + "]" * depth
        path.write_text(f'{{"cells": [{{"cell_type": {deep}, "source": {deep}, "metadata": {deep}}}]}}')
        assert set(read_bundle(path, TOY, released()).cells.values()) == {None}


def test_a_notebook_of_200_mb_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    with open(path, "wb") as file:
        file.truncate(200 * 2**20)
    tracemalloc.start()
    found = read_bundle(path, TOY, released())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "larger than 20 MB" in found.notes[0]
    assert peak < 2.5 * MAX_NOTEBOOK_BYTES


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_other_encodings_are_read_or_told(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(json.dumps({"cells": [cell("add", "x = 'ü'")]}, ensure_ascii=False).encode(encoding))
    found = read_bundle(path, TOY, released())
    assert found.cells["add"] == "x = 'ü'" or (not found.readable and "JSON" in found.notes[0])
