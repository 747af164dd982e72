"""The kill table: planted wrong answers, and whether the checks that should catch each of them do.

A wrong answer to an exercise that needs a device which is not here is not run, and is in none of the counts.

A wrong answer is an answer file `tasks/<assignment>/mutants/<exercise>__<slug>.py` whose docstring names the bug and,
in `kills:`, the checks that must fail. It survives where one of them passes. Its other checks may fail as well; where
another exercise loses points through it, that is collateral.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from autograder.answers import AnswerFile, AnswerFileError, answered_cells, read_answer_file, solution_cells
from autograder.bundle import Bundle, ReleasedNotebook, clean_source
from autograder.course import CannotGrade, Course, UsageError
from autograder.judging import Job, Policy, judging_for
from autograder.result import ExerciseResult, Result


@dataclass(frozen=True)
class Verdict:
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
class KillTable:
    """The verdicts, with the solution (which must have every point) and the stub (which must have none) on top."""

    assignment: str
    exercises: tuple[str, ...]
    solution: Result
    stub: Result
    verdicts: tuple[Verdict, ...]

    def json(self) -> dict[str, Any]:
        """The object of `autograder mutants --json`."""
        run = [verdict for verdict in self.verdicts if not verdict.not_run]
        return {
            "assignment": self.assignment,
            "exercises": len(self.exercises),
            "mutants": len(run),
            "killed": sum(verdict.killed for verdict in run),
            "survivors": [verdict.mutant for verdict in run if not verdict.killed],
            "not_run": [verdict.mutant for verdict in self.verdicts if verdict.not_run],
            "collateral": [f"{verdict.mutant}: {name}" for verdict in self.verdicts for name in verdict.collateral],
            "solution": {"score": self.solution.score, "max": self.solution.max},
            "stub": {"score": self.stub.score, "max": self.stub.max},
        }


def exercise_of(mutant: AnswerFile) -> str:
    """The exercise a wrong answer belongs to: the part of its file name before the two underscores."""
    return mutant.name.partition("__")[0]


def read_mutants(course: Course, assignment: str, exercise: str | None = None) -> list[AnswerFile]:
    """The wrong answers of an assignment, or of one exercise.

    Raises:
        UsageError: there is no such assignment or exercise.
        AnswerFileError: a file answers another exercise than its name says, or does not say what kills it.
    """
    course.require(assignment)
    exercises = list(solution_cells(course, assignment))
    if exercise is not None and exercise not in exercises:
        raise UsageError(f"Unknown exercise {exercise!r}. Known: {', '.join(exercises)}.")
    found = [read_answer_file(path) for path in sorted((course.tasks(assignment) / "mutants").glob("*__*.py"))]
    for mutant in found:
        if set(mutant.cells) != {exercise_of(mutant)} or not mutant.listed("kills"):
            raise AnswerFileError(
                f"{mutant.name}: a wrong answer holds one section, '# %% {exercise_of(mutant)}', and 'kills: <checks>'"
            )
    found.sort(key=lambda mutant: (exercises.index(exercise_of(mutant)), mutant.name))
    return [mutant for mutant in found if exercise in (None, exercise_of(mutant))]


def kill_table(
    course: Course,
    assignment: str,
    *,
    exercise: str | None = None,
    quick: bool = False,
    policy: Policy | None = None,
    workers: int | None = None,
    progress: Callable[[str, float, str], object] = lambda *_: None,
) -> KillTable:
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
    verdicts = [_verdict(mutant, results, solution) for mutant in mutants]
    return KillTable(assignment, tuple(solutions), solution, results["stub"], tuple(verdicts))


def _verdict(mutant: AnswerFile, results: dict[str, Result], solution: Result) -> Verdict:
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
    return Verdict(
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
