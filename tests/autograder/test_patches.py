"""A wrong answer may be a patch of the solution, and one that does not fit names itself."""

from pathlib import Path

import pytest

from autograder.assurance.answers import AnswerFileError, solution_cells
from autograder.assurance.mutants import kill_matrix, read_mutants
from autograder.assurance.patches import Hunk, applied, read_patch
from autograder.wire.files import write_durably
from tests.autograder.toy import TOY, Toy

SOLUTION = "def f(x):\n    y = x + 1\n\n    z = x + 1\n    return y * z"
HEAD = "Forgets one.\n\nkills: it_adds, it_multiplies\nvisible: it_shows\n\n"


def patched(tmp_path: Path, hunks: str, head: str = HEAD) -> str:
    path = tmp_path / "wrong.patch"
    path.write_text(head + hunks)
    return read_patch(path, "f", SOLUTION).cells["f"]


def test_a_patch_is_an_answer_with_the_whole_cell(tmp_path: Path) -> None:
    path = tmp_path / "wrong.patch"
    path.write_text(HEAD + "@@\n-    return y * z\n+    return y\n")
    found = read_patch(path, "f", SOLUTION)
    assert (found.name, found.summary, found.from_stub) == ("wrong", "Forgets one.", False)
    assert (found.listed("kills"), found.listed("visible")) == (("it_adds", "it_multiplies"), ("it_shows",))
    assert found.cells == {"f": SOLUTION.replace("y * z", "y")}


def test_hunks_add_take_away_and_change_what_their_context_points_at(tmp_path: Path) -> None:
    assert patched(tmp_path, "@@\n \n-    z = x + 1\n+    z = x\n") == SOLUTION.replace("z = x + 1", "z = x")
    assert patched(tmp_path, "@@\n\n-    z = x + 1\n+    z = x\n\n") == SOLUTION.replace("z = x + 1", "z = x")
    two = "@@ the beginning\n def f(x):\n+    x = 2\n@@ the end\n-    return y * z\n"
    assert patched(tmp_path, two) == "def f(x):\n    x = 2\n    y = x + 1\n\n    z = x + 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + "@@\n-    y = x\n+    y = 0\n",
            "hunk 1: its old lines stand 0 times, not once, in the solution of 'f'",
        ),
        (
            HEAD + "@@\n-    y = x + 1\n+    y = 0\n@@\n     y = x + 1\n+    y = 1\n",
            "hunk 2: its old lines stand 0 times",
        ),
        (HEAD + "@@\n-\n+    pass\n@@\n", "no old lines"),
        (HEAD + "@@\n     y = x + 1\n", "changes nothing"),
        (HEAD + "@@\n*    y = x + 1\n", "begins with '-', '\\+' or a space"),
        ("@@\n-    y = x + 1\n", "begins with a sentence"),
        (HEAD, "then come hunks"),
    ],
)
def test_a_patch_that_does_not_fit_names_itself(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AnswerFileError, match=said) as caught:
        patched(tmp_path, text, "")
    assert "wrong.patch" in str(caught.value)


def test_old_lines_that_stand_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="stand 2 times, not once"):
        applied(Hunk(("a",), ("b",)), "a\na")


def test_patches_and_whole_answers_stand_side_by_side_in_the_kill_matrix(toy: Toy) -> None:
    folder = toy.course.tasks(TOY) / "mutants" / "add"
    old = next(line for line in solution_cells(toy.course, TOY)["add"].split("\n") if "return" in line)
    write_durably(folder / "minus.patch", f"Subtracts.\n\nkills: add_is_right\n\n@@\n-{old}\n+    return a - b\n")
    write_durably(
        folder / "zero.py", '"""Is 0.\n\nkills: add_is_right\n"""\n\n# %% add\ndef add(a, b):\n    return 0\n'
    )
    assert [one.name for one in read_mutants(toy.course, TOY)] == ["add__minus", "add__zero"]
    found = kill_matrix(toy.course, TOY, policy=toy.policy, quick=True).json()
    assert (found["mutants"], found["killed"]) == (2, 2)


@pytest.mark.parametrize(
    ("name", "said"), [("divide/minus.patch", "no exercise 'divide'"), ("double/minus.py", "'# %% double'")]
)
def test_a_wrong_answer_belongs_to_the_exercise_of_its_folder(toy: Toy, name: str, said: str) -> None:
    text = '"""A.\n\nkills: a\n"""\n\n# %% add\nadd = 3\n'
    write_durably(toy.course.tasks(TOY) / "mutants" / name, text)
    with pytest.raises(AnswerFileError, match=said):
        read_mutants(toy.course, TOY)
