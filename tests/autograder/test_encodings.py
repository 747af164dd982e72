"""Notebooks and masters are read alike by every command, whatever an editor saved them as."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.assurance.answers import read_answer_file
from autograder.assurance.sample import MARK, _is_ours
from autograder.cells.bundle import read_bundle
from autograder.cells.notebook_file import Unreadable, read_notebook
from autograder.cli import app
from autograder.controller.release import release
from autograder.student.commands import main, reset
from autograder.wire.files import write_durably
from autograder.wire.text import decoded
from tests.autograder.toy import TOY, Toy

ADD = "def add(a, b):\n    return a - b  # über"
SAVED: dict[str, Callable[[str], bytes]] = {
    "UTF-8": lambda text: text.encode(),
    "a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Windows' line ends": lambda text: text.replace("\n", "\r\n").encode(),
}


def own(toy: Toy, tmp_path: Path, save: Callable[[str], bytes]) -> Path:
    path = tmp_path / "home" / f"{TOY}.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(save(json.dumps(toy.notebook(add=ADD), indent=1, ensure_ascii=False)))
    return path


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED.keys())
def test_a_notebook_is_graded_and_reset_however_it_was_saved(toy: Toy, tmp_path: Path, save) -> None:
    path = own(toy, tmp_path, save)
    before = path.read_bytes()
    assert read_bundle(path, TOY, toy.released()).cells["add"] == ADD
    backup = reset(path, "add", toy.course.package)
    assert backup.read_bytes() == before
    assert read_bundle(path, TOY, toy.released()).cells["add"] == toy.released().stubs["add"]
    path.write_bytes(save(json.dumps({"cells": [], "metadata": {MARK: True}})))
    assert _is_ours(path)


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED.keys())
def test_a_master_and_an_answer_are_read_however_they_were_saved(toy: Toy, tmp_path: Path, save) -> None:
    if "without" in (name := next(name for name, one in SAVED.items() if one is save)):
        pytest.skip(f"no editor saves text as {name}")
    for path in (toy.course.master(TOY), toy.course.tasks(TOY) / "task.toml", toy.course.tasks(TOY) / "checks/add.py"):
        if path.suffix == ".py" and "UTF-8" not in name and "mark" not in name and "Windows" not in name:
            continue  # Python itself reads no other
        path.write_bytes(save(path.read_text(encoding="utf-8")))
    assert release(toy.course, TOY, check_only=True).changes == ()
    answer = tmp_path / "answer.py"
    answer.write_bytes(save('"""A wrong one: größer."""\n\n# %% add\nx = 1\n'))
    assert read_answer_file(answer).cells == {"add": "x = 1"}


def test_line_ends_of_text_are_those_of_unix() -> None:
    assert decoded(b"\xef\xbb\xbfa\r\nb\rc\n") == "a\nb\nc\n"
    with pytest.raises(ValueError, match="codec can't decode"):
        decoded("größer".encode("latin-1"))


@pytest.mark.parametrize("broken", [ADD.encode("latin-1"), b"{", b"[]", b'{"cells": 3}', b"\xff\xfe{", b""])
def test_what_is_no_notebook_is_one_sentence_and_bad_usage(
    toy: Toy, tmp_path: Path, broken: bytes, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(toy.course.root)
    path = own(toy, tmp_path, lambda text: broken)
    with pytest.raises(Unreadable):
        read_notebook(path)
    for command in (["reset", str(path), "add"], ["check", str(path)]):
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 2, ended.output
        assert ended.stderr.count("\n") == 1
        assert "is not a notebook" in ended.stderr
    monkeypatch.setattr("autograder.student.commands.reset.__defaults__", (toy.course.package,))
    assert main(["reset", str(path), "add"]) == 2
    assert "is not a notebook" in capsys.readouterr().err
    assert path.read_bytes() == broken


def test_a_master_or_task_that_is_no_text_is_one_sentence_and_bad_usage(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(toy.course.root)
    for path in (toy.course.tasks(TOY) / "task.toml", toy.course.master(TOY)):
        good = path.read_bytes()
        path.write_bytes(good + "# größer".encode("latin-1"))
        ended = CliRunner().invoke(app, ["release", TOY])
        assert (ended.exit_code, ended.stderr.count("\n")) == (2, 1), ended.output
        assert path.name in ended.stderr
        assert "UTF-8" in ended.stderr
        path.write_bytes(good)


def test_hints_do_not_depend_on_how_a_notebook_was_saved(toy: Toy, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(toy.course.root)
    task = toy.course.tasks(TOY) / "task.toml"
    write_durably(task, task.read_text().replace('provides = ["add"]', 'provides = ["add"]\nhints = ["Think."]'))
    path = own(toy, tmp_path, SAVED["UTF-16"])
    assert "Think." in CliRunner().invoke(app, ["hint", str(path), "add"]).output
