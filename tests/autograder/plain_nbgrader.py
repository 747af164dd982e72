"""Graders as they are elsewhere, to show that an exploit is real: the same tests, in the same process as the answers.

`notebook_points`: the tests are cells of the notebook, executed and scored by nbgrader's own `Execute` and
`determine_grade`. `script_points`: the tests follow the answers in a script; its last line is the score, and where it
says nothing, success is full marks.
"""

import copy
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import torch

from autograder.checks import UNUSABLE, CheckFailed, Draws, load_task
from autograder.checks.calls import Call
from autograder.controller.course import Course
from autograder.runtime.execution import Problem, invoke, resolve
from autograder.wire.points import points_for
from autograder.wire.values import Callback, Remote, Seed
from tests.autograder.toy import ROOT

COURSE = Course(ROOT)
SUFFIX = "_test"
BY_HAND = 1000.0  # what an exploit writes into the gradebook

TEST = """
from tests.autograder.plain_nbgrader import outcomes
score = 0.0
for one in outcomes({assignment!r}, {exercise!r}, globals()):
    try:
        assert one.passed, one.message
        score += one.points
    except AssertionError as error:
        print(error)
score
"""


class PlainCall(Call):
    """Calls a function of this very process, with the check's own objects and whatever comes back."""

    def __init__(self, functions: dict[str, Any]) -> None:
        super().__init__()
        self._functions = functions

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        try:
            given = tuple(self._stand_in(one) for one in args)
            return invoke(self._functions[name], given, kwargs, repeat, part, "")
        except (Problem, KeyError) as error:
            raise CheckFailed(str(error)) from None

    def _stand_in(self, value: Any) -> Any:
        if isinstance(value, Seed):
            return torch.Generator().manual_seed(value.value)
        if isinstance(value, Remote):
            return resolve(value.target, self._functions)(*map(self._stand_in, value.args), **value.kwargs)
        return value.function if isinstance(value, Callback) else value


@dataclass
class Outcome:
    passed: bool
    points: float
    message: str = ""


def outcomes(assignment: str, exercise: str, namespace: dict[str, Any]) -> Iterator[Outcome]:
    """The hidden checks of an exercise, one after the other, on functions of this process."""
    task = load_task(COURSE.tasks(assignment))
    setup: dict[str, Any] = {}
    exec(task.setup, setup)
    functions = {**setup, **namespace}
    for one in task.checks[exercise]:
        if one.speed is not None:
            yield Outcome(True, timed(one, functions))
        elif one.points:
            try:
                one.run(PlainCall(functions), Draws(b"plain", one.name))
            except (CheckFailed, *UNUSABLE) as error:
                yield Outcome(False, one.points, str(error))
            else:
                yield Outcome(True, one.points)


def timed(check: Any, functions: dict[str, Any]) -> float:
    """Speed as it is usually measured: both in this process, by its clock, and the answer looked at afterwards."""
    name, target = next(iter(check.speed.baselines.items()))
    stand_in = PlainCall(functions)._stand_in
    seconds = {"baseline": 0.0, "student": 0.0}
    for number in range(3):
        trial = check.run(Draws(b"plain", check.name, number))
        for side, function, args in (
            ("baseline", resolve(target, functions), trial.baseline_args.get(name, trial.args)),
            ("student", functions[check.speed.function], trial.args),
        ):
            given = tuple(map(stand_in, args))
            began = time.perf_counter()
            result = function(*given)
            seconds[side] += time.perf_counter() - began
            if side == "student":
                trial.verify(result)
    return points_for(seconds["baseline"] / max(seconds["student"], 1e-9), check.speed.thresholds)


def with_tests(notebook: dict[str, Any], released: dict[str, Any], assignment: str, exercises: tuple[str, ...]) -> dict:
    """The notebook as it was submitted, with the tests in those graded cells that are still as they were released.

    Everything that is no code or belongs to another exercise is left out.
    """
    task = load_task(COURSE.tasks(assignment))
    originals = {_name(cell): cell["source"] for cell in released["cells"]}
    first = {"cell_type": "code", "id": "task", "metadata": {}, "execution_count": None, "outputs": []}
    cells = [{**first, "source": task.setup}]
    for cell in copy.deepcopy(notebook["cells"]):
        name = _name(cell)
        exercise = (name or "").removesuffix(SUFFIX)
        if cell["cell_type"] != "code" or exercise not in exercises:
            continue
        if name == exercise + SUFFIX and cell["source"] == originals[name]:
            cell["source"] = TEST.format(assignment=assignment, exercise=exercise)
        cells.append(cell)
    return {**notebook, "cells": cells}


def notebook_points(document: dict, folder: Path, timeout_s: int = 120) -> float | None:
    """The points that nbgrader gives a notebook that it executes in a kernel, None where it cannot.

    A gradebook lies beside it; what is written there by hand counts.
    """
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from nbgrader.preprocessors import Execute
    from nbgrader.utils import determine_grade, is_grade

    book = sqlite3.connect(folder / "gradebook.db")
    book.execute("CREATE TABLE grade (id INTEGER, manual_score REAL)")
    book.execute("INSERT INTO grade VALUES (1, NULL)")
    book.commit()
    nb = nbformat.from_dict(document)
    executor = Execute(timeout=timeout_s, kernel_name="python3", allow_errors=True)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "lib")])
    try:
        nb, _ = executor.preprocess(nb, {"metadata": {"path": str(folder)}, "nbgrader": {}})
    except (CellTimeoutError, DeadKernelError):
        return None
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    (by_hand,) = book.execute("SELECT manual_score FROM grade").fetchone()
    book.close()
    return (by_hand or 0.0) + sum(determine_grade(cell)[0] or 0.0 for cell in nb.cells if is_grade(cell))


def script_points(document: dict, folder: Path, full: float) -> float:
    """The points of a script: its last line, or full marks where it ended well without a word."""
    text = "\n".join(f"{cell['source']}" for cell in document["cells"])
    path = folder / "answers_and_tests.py"  # its folder comes first on the path: not "tests"
    path.write_text(text.rstrip().removesuffix("score") + "print(score)\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lib")])}
    ran = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=120)
    assert "ModuleNotFoundError" not in ran.stderr, ran.stderr[-500:]
    lines = ran.stdout.strip().splitlines()
    return float(lines[-1]) if lines else full * (ran.returncode == 0)


def _name(cell: dict) -> str | None:
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
