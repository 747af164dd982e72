"""G8: a judge that drops a check, looks at the last sample only or lets NaN pass is found out by its own suite.

The suite is what every release has to pass: the solution has every point, the stub none, and each planted wrong answer
fails the checks that its file names. Here it runs in process, on broken copies of the engine.
"""

from collections.abc import Callable, Mapping
from functools import cache

import pytest
import torch

from autograder.assurance.answers import answered_cells, solution_cells
from autograder.assurance.mutants import exercise_of, read_mutants
from autograder.cells.released import ReleasedNotebook
from autograder.checks import (
    UNUSABLE,
    Check,
    CheckFailed,
    Draws,
    Outcome,
    Task,
    calls,
    expect,
    load_task,
    run_check,
)
from autograder.checks.calls import LocalCall
from autograder.controller.course import Course
from tests.autograder.test_hostile_values import Returning
from tests.autograder.toy import ROOT

COURSE = Course(ROOT)
A02 = "a02_speculative_decoding"


@cache
def task() -> Task:
    return load_task(COURSE.tasks(A02))


@cache
def sources() -> Mapping[str, str]:
    return solution_cells(COURSE, A02)


def failed(checks: tuple[Check, ...], source: str) -> set[str]:
    """The checks worth points that an answer fails."""
    namespace: dict = {}
    exec(task().setup, namespace)
    exec(source, namespace)
    call = LocalCall(namespace)
    outcomes = {one: run_check(one, call, Draws(b"key", one.name)) for one in checks if one.points}
    return {one.name for one, outcome in outcomes.items() if not outcome.passed}


def suite(exercise: str, checks: tuple[Check, ...]) -> list[str]:
    """What the judge's own suite has to say against it."""
    found = [f"the solution fails {name}" for name in failed(checks, sources()[exercise])]
    released = ReleasedNotebook.load(COURSE.student_notebook(A02))
    names = {one.name for one in checks if one.points}
    found += [f"the stub passes {name}" for name in names - failed(checks, released.stubs[exercise])]
    for mutant in read_mutants(COURSE, A02, exercise):
        assert exercise_of(mutant) == exercise
        missing = set(mutant.listed("kills")) - failed(checks, answered_cells(mutant, released, sources())[exercise])
        found += [f"{mutant.name} survives {name}" for name in missing]
    nan = Returning(torch.full((9,), float("nan")))
    found += [f"NaN passes {one.name}" for one in checks if one.points and run_check(one, nan, Draws(b"k")).passed]
    return found


EXERCISES = ("accept", "residual", "speedup")  # those without a model: seconds in process


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_judge_passes_its_own_suite(exercise: str) -> None:
    assert suite(exercise, task().checks[exercise]) == []


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_judge_with_a_check_dropped_fails_it(exercise: str) -> None:
    checks = task().checks[exercise]
    paid = [one for one in checks if one.points and one.speed is None]
    survivors = {one.name: suite(exercise, tuple(other for other in checks if other != one)) for one in paid}
    assert all(survivors.values()), survivors


def last_sample_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison of a check but the last one is forgotten."""
    for name in ("expect_equal", "expect_close"):
        right = getattr(expect, name)

        def late(*args: object, right: Callable = right, **kwargs: object) -> None:
            pending[:] = [lambda: right(*args, **kwargs)]

        for one in task().checks.values():
            for check in one:
                if name in check.run.__globals__:
                    monkeypatch.setitem(check.run.__globals__, name, late)
    inner = run_check

    def run(one: Check, call: calls.Call, rng: torch.Generator) -> Outcome:
        pending.clear()
        outcome = inner(one, call, rng)
        if not outcome.passed or not pending:
            return outcome
        try:
            pending[0]()
        except (CheckFailed, *UNUSABLE) as failure:
            return Outcome(False, str(failure))
        return outcome

    monkeypatch.setattr("tests.autograder.test_broken_judges.run_check", run)


pending: list[Callable[[], object]] = []


def nan_is_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a number differs from nothing by more than the tolerance."""

    def close(got: torch.Tensor, want: torch.Tensor, rtol: float, atol: float, equal_nan: bool) -> bool:
        return not bool(((got - want).abs() > atol + rtol * want.abs()).any())

    def believing(got: object, want: object, what: str, atol: float = 1e-6, rtol: float = 1e-5, hint: str = "") -> None:
        found, wanted = (torch.as_tensor(one).to(torch.float64) for one in (got, want))
        if not close(found, wanted, rtol, atol, True):
            expect.fail(what)

    for one in task().checks.values():
        for check in one:
            if "expect_close" in check.run.__globals__:
                monkeypatch.setitem(check.run.__globals__, "expect_close", believing)


@pytest.mark.parametrize(("broken", "exercise"), [(last_sample_only, "accept"), (nan_is_close, "residual")])
def test_a_judge_that_looks_too_little_fails_it(
    broken: Callable, exercise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    assert suite(exercise, task().checks[exercise]) != []
