"""Every exercise's solution passes all its checks and every wrong answer fails those it should, without a sandbox.

Here the checks themselves are on trial; `test_answers_in_sandbox.py` sends answers through judge and worker.
"""

from functools import partial
from pathlib import Path

import pytest

from autograder.assurance.answers import solution_cells
from autograder.assurance.mutants import exercise_of, read_mutants
from autograder.cells.released import ReleasedNotebook
from autograder.checks import Draws, Exercise, LocalCall, Task, load_task, run_check
from autograder.controller.course import Course
from autograder.runtime.execution import resolve
from autograder.runtime.triton_bounds import bound_kernels
from tests.kernels.interpreter import Interpreter

ROOT = Path(__file__).resolve().parents[2]
TASKS = ROOT / "autograder" / "tasks"
ASSIGNMENTS = sorted(path.parent.name for path in TASKS.glob("*/task.toml"))
MUTANTS = {name: read_mutants(Course(ROOT), name) for name in ASSIGNMENTS}
EVERY = [pytest.param(name, one, id=f"{name[:3]}-{one.name}") for name, found in MUTANTS.items() for one in found]
KEYS = [b"a test", b"another", b"a third", b"a fourth"]


class Forgetful(LocalCall):
    """Calls of a cell that is run once more when it is to forget, as in a new worker."""

    def __init__(self, task: Task, exercise: Exercise, cell: str) -> None:
        self._parts = task, exercise, cell
        super().__init__({})
        self.forget()

    def forget(self) -> None:
        task, exercise, cell = self._parts
        namespace = {"__name__": "student"}
        exec(task.setup, namespace)
        if exercise.host:
            bound_kernels()
        for name, target in exercise.injects.items():
            namespace[name] = resolve(target, namespace)
        exec(compile(cell, f"<{exercise.id}>", "exec"), namespace)
        self._functions = namespace


def failed_checks(
    assignment: str, exercise: str, cell: str, names: set[str] | None = None, key: bytes = KEYS[0]
) -> dict[str, str]:
    """Name and message of each correctness check, or of those named, that a cell fails under a run key."""
    task = load_task(TASKS / assignment)
    call = Forgetful(task, task.exercises[exercise], cell)
    failed = {}
    for one in task.checks[exercise]:
        wanted = names is None or one.name in names
        if task.exercises[exercise].needs and "bfloat16" in one.name:
            wanted = False  # where there is no GPU Triton's interpreter takes its place, which cannot multiply bfloat16
        if one.speed is None and wanted:
            outcome = run_check(one, call, Draws(key, one.name))
            if not outcome.passed:
                failed[one.name] = outcome.message
    return failed


@pytest.fixture(scope="module")
def failed():
    """`failed_checks` in a process of its own, where kernels run on the CPU and no call of the library is checked for
    types: that takes four times as long, and not the library is on trial here."""
    interpreter = Interpreter()
    yield partial(interpreter, failed_checks)
    interpreter.close()


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_solutions_pass_every_check(assignment, failed):
    for exercise, cell in solution_cells(Course(ROOT), assignment).items():
        assert failed(assignment, exercise, cell) == {}, exercise


@pytest.mark.parametrize(("assignment", "answer"), EVERY)
def test_wrong_answers_fail_the_checks_that_they_should(assignment, answer, failed):
    ((exercise, cell),) = answer.cells.items()
    named = {*answer.listed("kills"), *answer.listed("visible")}
    kills = {name for name in named if "bfloat16" not in name}
    found = failed(assignment, exercise, cell, kills)
    assert found.keys() == kills != set()
    assert all(len(message) > 15 for message in found.values())


@pytest.mark.release
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_a_verdict_does_not_hang_on_the_key(assignment, failed):
    """Equal answers get equal points. Left out are checks so long that they have a deadline of their own."""
    task = load_task(TASKS / assignment)
    cells = {one.name: item for one in MUTANTS[assignment] for item in one.cells.items()}
    differing = {}
    for name, (exercise, cell) in cells.items():
        quick = {one.name for one in task.checks[exercise] if one.deadline_s is None}
        found = [failed(assignment, exercise, cell, quick, key).keys() for key in KEYS]
        if hanging := set.union(*map(set, found)) - set.intersection(*map(set, found)):
            differing[name] = hanging
    assert differing == {}


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_what_is_not_written_or_not_returned_is_said_in_plain_words(assignment, failed):
    task = load_task(TASKS / assignment)
    stubs = ReleasedNotebook.load(Course(ROOT).student_notebook(assignment)).stubs
    for exercise, about in task.exercises.items():
        visible = {one.name for one in task.checks[exercise] if one.visible}
        said = failed(assignment, exercise, stubs[exercise], visible)
        assert said.keys() == visible
        assert all("Not written yet" in message for message in said.values()), said
        silent = "\n".join(f"def {name}(*args): pass" for name in about.provides)
        for message in failed(assignment, exercise, silent, visible).values():
            assert "return" in message, message
            assert "cannot be used" not in message, message


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_each_exercise_has_three_hidden_checks_and_five_wrong_answers(assignment):
    task = load_task(TASKS / assignment)
    for exercise in task.exercises:
        assert sum(one.points > 0 for one in task.checks[exercise]) >= 3
        assert any(one.visible for one in task.checks[exercise])
        assert sum(exercise_of(one) == exercise for one in MUTANTS[assignment]) >= 5
