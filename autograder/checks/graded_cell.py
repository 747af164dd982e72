"""A cell run in this process as the judge has it run: alone, after the setup, with what it gets from others."""

import io
import sys
import types
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from autograder.cells.kernel_source import kernels_only
from autograder.cells.packages import hidden_by, hidden_sentence, is_there
from autograder.cells.source import as_graded
from autograder.checks.task import Exercise
from autograder.runtime.execution import resolve, run_cell
from autograder.runtime.student_builtins import no_such_package, student_builtins


def program_of(source: str, exercise: Exercise) -> str:
    """What runs of a cell in a worker; the judge and the notebook's check both ask here."""
    text = as_graded(source).text
    return kernels_only(text, exercise.host) if exercise.host else text


def names_of(source: str, setup: str, exercise: Exercise) -> dict[str, Any]:
    """The names that there are when a cell has run; what it prints is for nobody.

    Raises:
        Problem: it cannot be compiled, or it raised.
    """
    module = types.ModuleType("student")
    sys.modules["student"] = module  # where the classes of a cell say they live
    names = module.__dict__
    exec(compile(setup, "<setup>", "exec"), names)
    names |= {name: resolve(target, names) for name, target in exercise.injects.items()}
    names["__builtins__"] = student_builtins(_refusal(exercise))
    with redirect_stdout(io.StringIO()):
        run_cell(program_of(source, exercise), exercise.id, names)
    return names


def _refusal(exercise: Exercise) -> Callable[[str], str]:
    """Why a module cannot be imported where the exercise is graded."""

    def refusal(name: str) -> str:
        package = name.partition(".")[0]
        if not is_there(package):
            return no_such_package(package)
        hidden = hidden_by(name, exercise.shows) if package == "nimblelm" else ""
        return hidden_sentence(hidden) if hidden else ""

    return refusal
