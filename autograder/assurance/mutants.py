"""The kill matrix: planted wrong answers, and whether the checks that should catch each of them do.

A wrong answer to an exercise that needs a device which is not here is not run, and is in none of the counts.

A wrong answer `tasks/<assignment>/mutants/<exercise>/<slug>` is a patch of the solution (`.patch`, see `patches`) or,
where it goes another way, an answer file (`.py`, see `answers`). Its first lines name the bug and, in `kills:`, the
checks that must fail. It survives where one of them passes. Its other checks may fail as well; where another exercise
loses points through it, that is collateral.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder.assurance.answers import AnswerFile, AnswerFileError, answered_cells, read_answer_file, solution_cells
from autograder.assurance.patches import read_patch
from autograder.cells.bundle import Bundle, clean_source
from autograder.cells.released import ReleasedNotebook
from autograder.checks.task_files import MUTANTS
from autograder.controller.course import Course
from autograder.controller.judge_runs import Job, Policy, judging_for
from autograder.controller.result import ExerciseResult, Result
from autograder.wire.errors import CannotGrade, UsageError


@dataclass(frozen=True)
class MutantResult:
    """What the checks made of one wrong answer. `collateral` lists the other exercises that lost points."""

    mutant: str
    exercise: str
    summary: str
    expected: tuple[str, ...]
    failed: tuple[str, ...]
    points_lost: float
    collateral: tuple[str, ...]
    not_run: bool = False  # it needs a device that is not here: it is in none of the counts

    @property
    def killed(self) -> bool:
        return bool(self.expected) and set(self.expected) <= set(self.failed)


@dataclass(frozen=True)
class KillMatrix:
    """The wrong answers, with the solution (which must have every point) and the stub (which must have none) on top."""

    assignment: str
    exercises: tuple[str, ...]
    solution: Result
    stub: Result
    mutants: tuple[MutantResult, ...]

    def json(self) -> dict[str, Any]:
        """The object of `autograder mutants --json`."""
        run = [one for one in self.mutants if not one.not_run]
        return {
            "assignment": self.assignment,
            "exercises": len(self.exercises),
            "mutants": len(run),
            "killed": sum(one.killed for one in run),
            "survivors": [one.mutant for one in run if not one.killed],
            "not_run": [one.mutant for one in self.mutants if one.not_run],
            "collateral": [f"{one.mutant}: {name}" for one in self.mutants for name in one.collateral],
            "solution": {"score": self.solution.score, "max": self.solution.max},
            "stub": {"score": self.stub.score, "max": self.stub.max},
        }


def exercise_of(mutant: AnswerFile) -> str:
    """The exercise a wrong answer belongs to: the part of its name before the two underscores."""
    return mutant.name.partition("__")[0]


def read_mutants(course: Course, assignment: str, exercise: str | None = None) -> list[AnswerFile]:
    """The wrong answers of an assignment, or of one exercise.

    Raises:
        UsageError: there is no such assignment or exercise.
        AnswerFileError: a file answers another exercise than its folder says, does not say what kills it, or is a patch
            that does not fit the solution.
    """
    course.require(assignment)
    solutions = solution_cells(course, assignment)
    if exercise is not None and exercise not in solutions:
        raise UsageError(f"Unknown exercise {exercise!r}. Known: {', '.join(solutions)}.")
    wanted = [exercise] if exercise else list(solutions)
    folder = course.tasks(assignment) / MUTANTS
    if strange := sorted({path.parent.name for path in files_of_mutants(folder)} - set(solutions)):
        raise AnswerFileError(f"{folder / strange[0]}: no exercise {strange[0]!r} (there are {', '.join(solutions)})")
    return [read_mutant(path, solutions) for name in wanted for path in files_of_mutants(folder, name)]


def files_of_mutants(folder: Path, exercise: str = "*") -> list[Path]:
    """The files of the wrong answers in a task's `mutants/`, or of one exercise's."""
    return sorted(path for path in folder.glob(f"{exercise}/*") if path.suffix in (".py", ".patch"))


def read_mutant(path: Path, solutions: Mapping[str, str]) -> AnswerFile:
    """One wrong answer, named `<exercise>__<slug>`; raises as `read_mutants`."""
    name = path.parent.name
    mutant = read_patch(path, name, solutions[name]) if path.suffix == ".patch" else read_answer_file(path)
    if set(mutant.cells) != {name}:
        raise AnswerFileError(f"{path}: a wrong answer of {name!r} holds one section, '# %% {name}'")
    if not mutant.listed("kills"):
        raise AnswerFileError(f"{path}: it does not say which checks catch it, in a line 'kills: <checks>'")
    return replace(mutant, name=f"{name}__{mutant.name}")


def kill_matrix(
    course: Course,
    assignment: str,
    *,
    exercise: str | None = None,
    quick: bool = False,
    policy: Policy | None = None,
    workers: int | None = None,
    progress: Callable[[str, float, str], object] = lambda *_: None,
) -> KillMatrix:
    """Judge the solution, the stub and every wrong answer.

    A wrong answer is judged on its own exercise; the others run our versions of what they build on, so they cannot see
    it. Unless `quick`, the first wrong answer of each exercise is judged on all of them (but not timed) to prove just
    that. With `quick` and one `exercise`, the solution and the stub are judged on that one alone.

    Raises:
        CannotGrade: the judge failed on one of them.
    """
    whole = replace(policy or Policy(), hidden=True, exercises=(exercise,) if exercise and quick else None)
    mutants = read_mutants(course, assignment, exercise)
    released = ReleasedNotebook.load(course.student_notebook(assignment))
    solutions = solution_cells(course, assignment)
    jobs = [
        Job(_bundle(assignment, solutions), whole),
        Job(_bundle(assignment, dict(released.stubs)), whole),
        *(_mutant_job(assignment, mutant, released, solutions, whole) for mutant in mutants),
    ]
    names = ["solution", "stub", *(mutant.name for mutant in mutants)]
    firsts = [] if quick else _first_of_each(mutants)
    untimed = replace(whole, speed=False)
    jobs += [Job(_bundle(assignment, answered_cells(one, released, solutions)), untimed) for one in firsts]
    names += [_everywhere(one) for one in firsts]
    with judging_for(course, assignment) as judging:
        found = judging.results(
            jobs, workers=workers, progress=lambda index, share, what: progress(names[index], share, what)
        )
    results = dict(zip(names, (_or_raise(name, one) for name, one in zip(names, found, strict=True)), strict=True))
    solution = results["solution"]
    judged = [_mutant_result(mutant, results, solution) for mutant in mutants]
    return KillMatrix(assignment, tuple(solutions), solution, results["stub"], tuple(judged))


def _mutant_result(mutant: AnswerFile, results: dict[str, Result], solution: Result) -> MutantResult:
    name = exercise_of(mutant)
    own, reference = results[mutant.name].exercises[name], solution.exercises[name]
    everywhere = results.get(_everywhere(mutant))
    others = [other for other in solution.graded if other != name] if everywhere else []
    collateral = [
        one
        for one in others
        if everywhere and set(_failed(everywhere.exercises[one])) - set(_failed(solution.exercises[one]))
    ]
    lost = reference.score - own.score
    return MutantResult(
        mutant.name, name, mutant.summary, mutant.listed("kills"), _failed(own), lost, tuple(collateral), own.not_here
    )


def _everywhere(mutant: AnswerFile) -> str:
    return f"{mutant.name} on every exercise"


def _failed(exercise: ExerciseResult) -> tuple[str, ...]:
    """The checks worth points that were graded and did not give all of them."""
    graded = [check for check in exercise.checks if check.status != "not_graded"]
    return tuple(check.name for check in graded if check.max > 0 and check.score < check.max)


def _mutant_job(
    assignment: str, mutant: AnswerFile, released: ReleasedNotebook, solutions: dict[str, str], whole: Policy
) -> Job:
    cells = answered_cells(mutant, released, solutions)
    return Job(_bundle(assignment, cells), replace(whole, exercises=(exercise_of(mutant),)))


def _bundle(assignment: str, cells: dict[str, str]) -> Bundle:
    return Bundle(assignment, {name: clean_source(source) for name, source in cells.items()})


def _first_of_each(mutants: list[AnswerFile]) -> list[AnswerFile]:
    firsts: dict[str, AnswerFile] = {}
    for mutant in mutants:
        firsts.setdefault(exercise_of(mutant), mutant)
    return list(firsts.values())


def _or_raise(name: str, found: Result | CannotGrade) -> Result:
    if isinstance(found, CannotGrade):
        raise CannotGrade(f"{name}: {found}")
    return found
