"""Functions that do nothing earn nothing, and no hidden check asks the same under another key."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from autograder.assurance.answers import solution_cells
from autograder.checks import Check, CheckFailed, Draws, load_task, run_check
from autograder.checks.calls import Call, LocalCall
from autograder.controller.course import Course
from autograder.runtime.execution import resolve, run_cell
from autograder.wire.values import Callback, Remote, Seed
from tests.autograder.toy import ROOT

COURSE = Course(ROOT)
TASKS = {name: load_task(COURSE.tasks(name)) for name in COURSE.assignments()}
WORTH = [
    pytest.param(name, one, id=f"{one.exercise}:{one.name}")
    for name, task in TASKS.items()
    for checks in task.checks.values()
    for one in checks
    if one.points and one.speed is None
]
MOST_CALLS = 12
FIRST = 6  # arguments that are given back


def programs() -> dict[str, Callable[[tuple], Any]]:
    """Ways to make an answer of the arguments without solving anything."""
    found: dict[str, Callable[[tuple], Any]] = {}
    for i in range(FIRST):
        found |= {
            f"number {i}": lambda given, i=i: given[i],
            f"first of {i}": lambda given, i=i: given[i][0],
            f"last of {i}": lambda given, i=i: given[i][-1],
            f"none of {i}": lambda given, i=i: given[i][:0],
            f"length of {i}": lambda given, i=i: len(given[i]),
            f"one more than {i}": lambda given, i=i: given[i] + 1,
            f"likeliest of {i}": lambda given, i=i: int(given[i].argmax()),
            f"mean of {i}": lambda given, i=i: given[i].mean(0),
            f"places of {i}": lambda given, i=i: torch.arange(len(given[i])),
            f"the row without -1 of {i}": lambda given, i=i: given[i][0][given[i][0] >= 0],
            f"diagonal of {i}": lambda given, i=i: torch.eye(len(given[i]), dtype=torch.bool),
            f"triangle of {i}": lambda given, i=i: torch.ones(len(given[i]), len(given[i]), dtype=torch.bool).tril(),
        }
        for value in (0.0, 1.0, float("nan"), float("-inf")):
            found[f"{value} like {i}"] = lambda given, i=i, value=value: torch.full_like(given[i], value)
            found[f"{value} and as many like {i}"] = lambda given, i=i, value=value: (
                torch.full_like(given[i], value), torch.full(given[i].shape[:-1], value)
            )  # fmt: skip
    for several in (*itertools.permutations(range(5), 2), *itertools.permutations(range(5), 3)):
        found[f"numbers {several}"] = lambda given, several=several: tuple(given[i] for i in several)
    for value in (0, 1, None, [], True, torch.tensor([0]), torch.tensor([0, 1])):
        found[f"always {value}"] = lambda given, value=value: value
    return found


class Doing(Call):
    """A student whose every function is the same program."""

    def __init__(self, program: Callable[[tuple], Any]) -> None:
        super().__init__()
        self._program = program

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        try:
            return self._program(args)
        except Exception as error:
            raise CheckFailed(str(error)) from None


class SeenEnough(CheckFailed):
    """What is asked after this differs, or nothing does."""


class Watched(LocalCall):
    """The solution, with a look at what it is asked and told."""

    def __init__(self, functions: dict[str, Any]) -> None:
        super().__init__(functions)
        self.seen: list[str] = []

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        shown = [arg for arg in args if isinstance(arg, torch.Tensor | int | float | str | list | tuple | dict)]
        shown += [arg.args for arg in args if isinstance(arg, Remote)]
        shown += [arg.value for arg in args if isinstance(arg, Seed)]
        self.seen.append(repr((name, shown)))
        if len(self.seen) > MOST_CALLS or repeat is not None:
            raise SeenEnough(name)
        return super()._request(name, args, kwargs, repeat, part)

    def _answer(self, callback: Callback, args: list[Any]) -> Any:
        result = super()._answer(callback, args)
        self.seen.append(repr(result))
        return result


@pytest.mark.parametrize(("assignment", "one"), WORTH)
def test_giving_back_what_was_given_earns_no_point(assignment: str, one: Check) -> None:
    earned = []
    for name, program in programs().items():
        if run_check(one, Doing(program), Draws(b"key", one.name)).passed:
            earned.append(name)
    assert earned == []


@pytest.mark.parametrize(("assignment", "one"), WORTH)
def test_no_check_asks_the_same_under_another_key(assignment: str, one: Check) -> None:
    """So nothing is gained by knowing what was asked of the last notebook, or by a table of answers."""
    task, solutions = TASKS[assignment], solution_cells(COURSE, assignment)
    exercise, asked = task.exercises[one.exercise], []
    for key in (b"one", b"another"):
        functions: dict[str, Any] = {}
        run_cell(task.setup, "setup", functions)
        functions |= {name: resolve(target, functions) for name, target in exercise.injects.items()}
        run_cell(solutions[one.exercise], one.exercise, functions)
        call = Watched(functions)
        with contextlib.suppress(CheckFailed):
            one.run(call, Draws(key, one.name))
        asked.append(call.seen)
    assert asked[0], one.name
    assert asked[0] != asked[1]
