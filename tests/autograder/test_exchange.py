"""nbgrader's own exchange beside the grader: released, fetched, submitted, collected, graded, without a JupyterHub."""

import json
from pathlib import Path
from typing import Any

import pytest
from nbgrader.auth import Authenticator
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange.default import (
    ExchangeCollect,
    ExchangeFetchAssignment,
    ExchangeReleaseAssignment,
    ExchangeSubmit,
)
from traitlets.config import Config

from autograder.controller import gradebook
from tests.autograder.toy import ADD, TOY, Toy, graded


@pytest.mark.slow
def test_what_students_submit_through_nbgraders_exchange_is_graded(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, home = tmp_path / "exchange", tmp_path / "home"
    exchange.mkdir()
    exchange.chmod(0o777)
    home.mkdir()
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(home / "jupyter"))

    def step(kind: Any, root: Path) -> None:
        config = Config(gradebook.nbgrader_settings(toy.course))
        config.Exchange.root, config.Exchange.cache = str(exchange), str(home / "cache")
        config.CourseDirectory.root, config.CourseDirectory.course_id = str(root), "course"
        config.CourseDirectory.assignment_id = TOY
        monkeypatch.chdir(root)
        folders, everybody = CourseDirectory(config=config), Authenticator(config=config)
        kind(coursedir=folders, authenticator=everybody, config=config).start()

    step(ExchangeReleaseAssignment, toy.course.root)
    step(ExchangeFetchAssignment, home)
    fetched = home / TOY / f"{TOY}.ipynb"
    assert fetched.read_bytes() == toy.course.student_notebook(TOY).read_bytes()
    fetched.write_text(json.dumps(toy.notebook(add=ADD)))
    step(ExchangeSubmit, home)
    step(ExchangeCollect, toy.course.root)
    (student,) = toy.course.students(TOY)
    assert graded(toy).json()["scores"][student] == {"score": 2.0, "max": 5.0}
