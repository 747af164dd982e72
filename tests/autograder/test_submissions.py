"""No submission vanishes without a word: what is not understood is listed with what to do, and nothing else is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.controller import judge_runs
from autograder.controller.grading import grade
from autograder.controller.submissions import strays
from autograder.wire.files import write_durably
from tests.autograder.toy import MASTER, TOY, Toy

ADD = "def add(a, b):\n    return a + b"
OTHER = "a91_other"


def lay(toy: Toy, *paths: str) -> None:
    """Notebooks that solve something, at paths under submitted/."""
    for path in paths:
        write_durably(toy.course.submitted / path, json.dumps(toy.notebook(add=f"{ADD}  # {path}")))


@pytest.mark.parametrize(
    ("path", "shown", "advice"),
    [
        ("ann/A90_Toy/a90_toy.ipynb", "submitted/ann/A90_Toy", f"rename it to submitted/ann/{TOY}"),
        ("ann/a90/a90_toy.ipynb", "submitted/ann/a90", f"rename it to submitted/ann/{TOY}"),
        ("ann/homework/a90_toy.ipynb", "submitted/ann/homework", f"rename it to submitted/ann/{TOY}"),
        ("ann/a90_toy-1/a90_toy.ipynb", "submitted/ann/a90_toy-1", f"rename it to submitted/ann/{TOY}"),
        ("a90_toy.ipynb", "submitted/a90_toy.ipynb", f"Move it to submitted/<student>/{TOY}/{TOY}.ipynb"),
        ("ann.ipynb", "submitted/ann.ipynb", f"Move it to submitted/<student>/{TOY}/{TOY}.ipynb"),
        ("ann/a90_toy.ipynb", "submitted/ann/a90_toy.ipynb", f"Move it to submitted/ann/{TOY}/{TOY}.ipynb"),
        (
            "smithjane_LATE_123456_9876_a90_toy-1.ipynb",
            "submitted/smithjane_LATE_123456_9876_a90_toy-1.ipynb",
            f"Move it to submitted/smithjane/{TOY}/{TOY}.ipynb",
        ),
        ("doejohn_1234_567_A90.ipynb", "submitted/doejohn_1234_567_A90.ipynb", f"submitted/doejohn/{TOY}/"),
        ("submissions.zip", "submitted/submissions.zip", "Unpack it"),
        ("ann/work.tar.gz", "submitted/ann/work.tar.gz", "Unpack it"),
        ("ann/add.py", "submitted/ann/add.py", f"submitted/ann/{TOY}/ is its place"),
        (f"{TOY}/ann/a90_toy.ipynb", f"submitted/{TOY}/ann", f"Move it to submitted/ann/{TOY}"),
    ],
)
def test_what_is_not_understood_is_listed_with_what_to_do(toy: Toy, path: str, shown: str, advice: str) -> None:
    lay(toy, path)
    (found,) = strays(toy.course, TOY)
    assert found.path == shown
    assert advice in found.advice


def test_what_has_its_place_or_is_nobodys_work_is_not_listed(toy: Toy) -> None:
    write_durably(toy.course.master(OTHER), MASTER)
    lay(toy, f"ann/{TOY}/{TOY}.ipynb", f"ann/{OTHER}/{OTHER}.ipynb", f"ann/{TOY}/data/other.ipynb")
    lay(toy, ".DS_Store", "ann/.ipynb_checkpoints/x.ipynb", "__MACOSX/ann/x.ipynb", "Thumbs.db", "~lock")
    assert strays(toy.course, TOY) == []


def test_what_speaks_of_another_assignment_is_listed_there_alone(toy: Toy) -> None:
    write_durably(toy.course.master(OTHER), MASTER)
    lay(toy, "ann/A91/x.ipynb", "bob_1_2_a91_other.ipynb", f"{OTHER}/cat/x.ipynb", "dan/A-91/x.ipynb")
    assert strays(toy.course, TOY) == []
    assert len(strays(toy.course, OTHER)) == 4


def test_a_link_in_the_place_of_a_student_is_told_once(toy: Toy, tmp_path: Path) -> None:
    lay(toy, f"ann/{TOY}/{TOY}.ipynb")
    (toy.course.submitted / "bob").symlink_to(toy.course.submitted / "ann")
    (toy.course.submitted / "cat").symlink_to(tmp_path / "nowhere")
    assert [(one.path, one.reason) for one in strays(toy.course, TOY)] == [("submitted/cat", "is a link")]
    assert [one.student for one in grade(toy.course, TOY, policy=toy.policy).students] == ["ann", "bob"]


def test_names_obey_nobody(toy: Toy) -> None:
    (toy.course.submitted / "ann\x1b[2J").mkdir(parents=True)
    (toy.course.submitted / "ann\x1b[2J" / "a\nb.ipynb").write_text("{}")
    (found,) = strays(toy.course, TOY)
    assert str(found).isprintable()


@pytest.mark.parametrize(
    ("names", "score"),
    [
        (["homework.ipynb"], 2.0),
        ([f"smithjane_LATE_123456_9876_{TOY}-1.ipynb"], 2.0),
        ([f"{TOY}.ipynb", "older.ipynb"], 2.0),
        (["homework.ipynb", ".ipynb_checkpoints/homework-checkpoint.ipynb", "notes.txt"], 2.0),
        (["one.ipynb", "two.ipynb"], None),
        (["notes.txt"], None),
        (["inside/homework.ipynb"], None),
    ],
)
def test_the_only_notebook_of_a_submission_is_taken_whatever_its_name(
    toy: Toy, names: list[str], score: float | None
) -> None:
    lay(toy, *(f"ann/{TOY}/{name}" for name in names))
    (found,) = grade(toy.course, TOY, policy=toy.policy).students
    assert found.score == score
    if score is None:
        assert "There is no notebook a90_toy.ipynb" in found.problem
        assert ("one.ipynb, two.ipynb" in found.problem) == (len(names) == 2)
    else:
        assert (f"{names[0]} instead of" in str(found.bundle.notes)) == (names[0] != f"{TOY}.ipynb")


def test_the_only_notebook_is_not_taken_through_a_link(toy: Toy) -> None:
    lay(toy, f"bob/{TOY}/{TOY}.ipynb")
    folder = toy.course.submission("ann", TOY).parent
    folder.mkdir(parents=True)
    (folder / "mine.ipynb").symlink_to(toy.course.submission("bob", TOY))
    ann, bob = grade(toy.course, TOY, policy=toy.policy).students
    assert (ann.score, bob.score) == (None, 2.0)


def test_the_command_lists_them_in_the_table_in_json_and_where_there_is_nothing_else(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(toy.course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", toy.policy.judge_command)
    lay(toy, "ann/A90_Toy/a90_toy.ipynb")
    nobody = CliRunner().invoke(app, ["grade", TOY])
    assert nobody.exit_code == 3
    assert f"rename it to submitted/ann/{TOY}" in nobody.stderr
    lay(toy, f"bob/{TOY}/{TOY}.ipynb")
    shown = CliRunner().invoke(app, ["grade", TOY], env={"COLUMNS": "200"})
    assert (shown.exit_code, f"rename it to submitted/ann/{TOY}" in shown.stdout) == (0, True)
    printed = json.loads(CliRunner().invoke(app, ["grade", TOY, "--json"]).stdout)
    assert [one["path"] for one in printed["not_understood"]] == ["submitted/ann/A90_Toy"]
    assert "A90_Toy" in (toy.course.feedback(TOY) / "index.html").read_text()
