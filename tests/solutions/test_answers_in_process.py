"""Every exercise's solution passes all its checks and every wrong answer fails those it should, without a sandbox.

The same answers go through judge and worker in the slow tests; here the checks themselves are on trial.
"""

from pathlib import Path

import pytest

from autograder.answers import read_answer_file, solution_cells
from autograder.bounds import bound_kernels
from autograder.bundle import ReleasedNotebook
from autograder.course import Course
from autograder.engine import Exercise, LocalCall, Task, generator, load_task, run_check
from autograder.execution import resolve
from tests.kernels.interpreter import Interpreter

ROOT = Path(__file__).resolve().parents[2]
TASKS = ROOT / "autograder" / "tasks"
ASSIGNMENTS = sorted(path.parent.name for path in TASKS.glob("*/task.toml"))
MUTANTS = sorted(TASKS.glob("*/mutants/*.py"))
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
            outcome = run_check(one, call, generator(key, one.name))
            if not outcome.passed:
                failed[one.name] = outcome.message
    return failed


@pytest.fixture(scope="module")
def failed():
    """`failed_checks`; a task that needs Triton's interpreter runs where that was set before Triton was imported."""
    interpreter = Interpreter()

    def run(assignment: str, *args) -> dict[str, str]:
        if "TRITON_INTERPRET" in load_task(TASKS / assignment).setup:
            return interpreter(failed_checks, assignment, *args)
        return failed_checks(assignment, *args)

    yield run
    interpreter.close()


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_solutions_pass_every_check(assignment, failed):
    for exercise, cell in solution_cells(Course(ROOT), assignment).items():
        assert failed(assignment, exercise, cell) == {}, exercise


@pytest.mark.parametrize("path", MUTANTS, ids=lambda path: path.stem)
def test_wrong_answers_fail_the_checks_that_they_should(path, failed):
    answer = read_answer_file(path)
    ((exercise, cell),) = answer.cells.items()
    named = {*answer.listed("kills"), *answer.listed("visible")}
    kills = {name for name in named if "bfloat16" not in name}
    found = failed(path.parents[1].name, exercise, cell, kills)
    assert found.keys() == kills != set()
    assert all(len(message) > 15 for message in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_a_verdict_does_not_hang_on_the_key(assignment, failed):
    """Equal answers get equal points. Left out are checks so long that they have a deadline of their own."""
    task = load_task(TASKS / assignment)
    answers = [path for path in MUTANTS if path.parents[1].name == assignment]
    cells = {path.stem: item for path in answers for item in read_answer_file(path).cells.items()}
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
        assert (
            sum(path.parents[1].name == assignment and path.stem.startswith(f"{exercise}__") for path in MUTANTS) >= 5
        )
