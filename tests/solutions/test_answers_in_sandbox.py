"""Solution, stub and wrong answers of every assignment, by the real judge in the sandbox.

The checks themselves are on trial in `test_answers_in_process.py`, with every wrong answer.
"""

from pathlib import Path

import pytest

from autograder.assurance import mutants
from autograder.controller.course import Course
from autograder.judge import sandbox
from tests.autograder.toy import ROOT, link_repository

ASSIGNMENTS = Course(ROOT).assignments()
pytestmark = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])


def caught(assignment: str, folder: Path, *, quick: bool = False) -> dict:
    """What `autograder mutants` says; that each is caught and, unless `quick`, costs no other exercise a point."""
    found = mutants.kill_matrix(link_repository(folder), assignment, quick=quick).json()
    assert found["solution"]["score"] == found["solution"]["max"] > 0
    assert found["stub"]["score"] == 0
    assert (found["survivors"], found["collateral"]) == ([], [])
    assert found["killed"] == found["mutants"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_one_wrong_answer_an_exercise_is_caught(assignment, tmp_path, monkeypatch):
    every = mutants.read_mutants
    first = {mutants.exercise_of(one): one for one in reversed(every(Course(ROOT), assignment))}
    monkeypatch.setattr(mutants, "read_mutants", lambda *_: list(first.values()))
    found = caught(assignment, tmp_path, quick=True)
    assert found["mutants"] + len(found["not_run"]) == found["exercises"]


@pytest.mark.release
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_every_wrong_answer_is_caught(assignment, tmp_path):
    caught(assignment, tmp_path)
