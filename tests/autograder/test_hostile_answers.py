"""Functions that do nothing earn nothing, and no hidden check asks the same under another key."""

import contextlib
import itertools
from collections.abc import Callable
from functools import cache
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


FILLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "zeros": torch.zeros_like,
    "ones": torch.ones_like,
    "equal shares": lambda x: torch.full_like(x, 1 / max(1, x.shape[-1]) if x.is_floating_point() else -1),
    "places": lambda x: torch.arange(x.shape[-1]).to(x.dtype).expand(x.shape).clone(),
}
OTHERWISE_EARNED = {
    "places_are_taken_in_the_order_of_arrival": "by the names that are chosen",
    "long_contexts_can_stay_memory_bound": "by None where no batch is large enough",
    "a_long_sequence_is_cut_at_whole_pages": "by the parts that are asked for",
    "a_batch_shares_the_parts": "by the parts that are asked for",
}


class Hollow(LocalCall):
    """The solution, whose answers keep their form and lose all their numbers."""

    def __init__(self, functions: dict[str, Any], fill: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(functions)
        self._fill = fill

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        if repeat is not None:  # drawn thousands of times: no constant is
            raise CheckFailed(name)
        return self._filled(super()._request(name, args, kwargs, repeat, part))

    def _filled(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._fill(value) if value.ndim else self._fill(value[None])[0]
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._filled(item) for item in value)
        return type(value)(self._fill(torch.tensor([value])).item()) if isinstance(value, int | float) else value


@cache
def solutions(assignment: str) -> dict[str, str]:
    return solution_cells(COURSE, assignment)


def solved(assignment: str, exercise: str) -> dict[str, Any]:
    """The names of a cell that holds the solution."""
    functions: dict[str, Any] = {}
    run_cell(TASKS[assignment].setup, "setup", functions)
    injected = TASKS[assignment].exercises[exercise].injects
    functions |= {name: resolve(target, functions) for name, target in injected.items()}
    run_cell(solutions(assignment)[exercise], exercise, functions)
    return functions


@pytest.mark.parametrize(("assignment", "one"), WORTH)
def test_an_answer_of_the_right_form_without_its_numbers_earns_no_point(assignment: str, one: Check) -> None:
    exercise = TASKS[assignment].exercises[one.exercise]
    if exercise.host:
        pytest.skip("its launches are the judge's")
    functions = solved(assignment, one.exercise)
    trials = {name: Hollow(functions, fill) for name, fill in FILLS.items()}
    earned = [name for name, call in trials.items() if run_check(one, call, Draws(b"key", one.name)).passed]
    assert bool(earned) == (one.name in OTHERWISE_EARNED), earned


@pytest.mark.parametrize(("assignment", "one"), WORTH)
def test_no_check_asks_the_same_under_another_key(assignment: str, one: Check) -> None:
    """So nothing is gained by knowing what was asked of the last notebook, or by a table of answers."""
    asked = []
    for key in (b"one", b"another"):
        call = Watched(solved(assignment, one.exercise))
        with contextlib.suppress(CheckFailed):
            one.run(call, Draws(key, one.name))
        asked.append(call.seen)
    assert asked[0], one.name
    assert asked[0] != asked[1]
