"""The corpus of exploits: cheats kept as answer files, and whether the grader gives them more than they deserve.

A file `exploits/<assignment>/<name>.py` says in its docstring what it tries, what its honest part deserves (`keeps:`
and `loses:`, as in the sample class) and how it is shown to be real, `proof:`

    notebook              it gains where the tests are cells of the notebook, executed as plain nbgrader does
    script                it gains where the tests are a script whose last line, or whose exit status, is the score
    without <a defence>   it gains where this grader lacks that one defence
    gpu (<why>)           it needs a GPU, and is left out where there is none

`harms: yes` marks one that gains nothing itself, but costs others or its own honest part their points there.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.assurance.answers import (
    AnswerFile,
    AnswerFileError,
    answered_notebook,
    read_answer_file,
    solution_cells,
)
from autograder.assurance.sample import expected_points
from autograder.cells.bundle import Bundle, read_bundle
from autograder.cells.released import ReleasedNotebook
from autograder.checks import load_task
from autograder.controller.course import Course
from autograder.controller.judge_runs import Job, Policy, judging_for
from autograder.controller.result import Result
from autograder.judge.version import gpus
from autograder.wire.errors import CannotGrade

PROOFS = ("notebook", "script", "without", "gpu")
TEST_SUFFIX = "_test"


@dataclass(frozen=True)
class Exploit:
    """One file of the corpus; `exercises` are the ones that it touches."""

    assignment: str
    file: AnswerFile
    exercises: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def proof(self) -> str:
        """The kind of its proof, one of PROOFS."""
        return self.file.fields["proof"].split()[0]

    @property
    def defence(self) -> str:
        """What the grader must lack for it to gain, where that is its proof."""
        return self.file.fields["proof"].removeprefix("without ")


@dataclass(frozen=True)
class Attempt:
    """What an exploit got; both None where it was left out."""

    exploit: Exploit
    score: float | None
    deserved: float | None

    @property
    def gained(self) -> bool:
        return self.score is not None and self.deserved is not None and self.score > self.deserved

    @property
    def underpaid(self) -> bool:
        """Its honest part got less than it deserves."""
        return self.score is not None and self.deserved is not None and self.score < self.deserved


def read_exploits(course: Course, assignment: str | None = None) -> list[Exploit]:
    """The corpus, or the part of it that is against one assignment.

    Raises:
        AnswerFileError: a file does not say how it is shown to be real.
    """
    found = []
    for path in sorted((course.package / "exploits").glob("*/*.py")):
        file, name = read_answer_file(path), path.parent.name
        if (file.fields.get("proof", "").split() or [""])[0] not in PROOFS:
            raise AnswerFileError(f"{path}: 'proof:' is one of {', '.join(PROOFS)}, not {file.fields.get('proof')!r}")
        touched = {one.removesuffix(TEST_SUFFIX) for one in (*file.cells, *file.edited, *file.copied, *file.marked)}
        exercises = tuple(one for one in solution_cells(course, name) if one in touched)
        found.append(Exploit(name, file, exercises))
    return [one for one in found if assignment in (None, one.assignment)]


def notebook_of(course: Course, exploit: Exploit) -> dict[str, Any]:
    """The notebook that the cheat submits (its JSON)."""
    released = ReleasedNotebook.load(course.student_notebook(exploit.assignment))
    return answered_notebook(exploit.file, released, solution_cells(course, exploit.assignment))


def bundle_of_exploit(course: Course, exploit: Exploit) -> Bundle:
    """What the grader takes of that notebook."""
    released = ReleasedNotebook.load(course.student_notebook(exploit.assignment))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{exploit.assignment}.ipynb"
        path.write_text(json.dumps(notebook_of(course, exploit)), encoding="utf-8")
        return read_bundle(path, exploit.assignment, released)


def deserved_points(course: Course, exploit: Exploit, left_out: frozenset[str] = frozenset()) -> float:
    """What the honest part is worth, without the checks that were left out."""
    checks = load_task(course.tasks(exploit.assignment)).checks
    points = {name: {one.name: one.points for one in found} for name, found in checks.items()}
    expected_points(exploit.file, points)  # names in the file that do not exist are told here
    counted = {
        name: {check: worth if check not in left_out else 0.0 for check, worth in found.items()}
        for name, found in points.items()
    }
    expected = expected_points(exploit.file, counted)
    return sum(expected[name] for name in exploit.exercises)


def run_exploits(
    course: Course,
    assignment: str | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[str, float, str], object] = lambda *_: None,
) -> list[Attempt]:
    """Hand every exploit to the grader, each judged on the exercises that it touches.

    Raises:
        CannotGrade: one of them made the grader itself fail, which is a success of that exploit, too.
    """
    corpus = read_exploits(course, assignment)
    attempts: dict[str, Attempt] = {}
    for name in dict.fromkeys(one.assignment for one in corpus):
        able = [one for one in corpus if one.assignment == name and (one.proof != "gpu" or gpus())]
        jobs = [Job(bundle_of_exploit(course, one), Policy(exercises=one.exercises)) for one in able]
        with judging_for(course, name) as judging:
            found = judging.results(
                jobs, workers=workers, progress=lambda index, share, what, able=able: progress(
                    able[index].name, share, what)
            )  # fmt: skip
        for one, result in zip(able, found, strict=True):
            attempts[one.name] = _attempt(course, one, result)
    return [attempts.get(one.name, Attempt(one, None, None)) for one in corpus]


def _attempt(course: Course, exploit: Exploit, found: Result | CannotGrade) -> Attempt:
    if isinstance(found, CannotGrade) or found.grader_failed:
        raise CannotGrade(f"The exploit {exploit.name} made the grader fail: {found}")
    rows = [row for exercise in found.exercises.values() for row in exercise.checks]
    left_out = frozenset(row.name for row in rows if row.is_disturbed or row.status == "not_graded")
    return Attempt(exploit, found.score, deserved_points(course, exploit, left_out))


def summary(attempts: list[Attempt]) -> dict[str, Any]:
    """The object of `autograder exploits --json`. Those that need a GPU and had none are in none of the counts."""
    tried = [one for one in attempts if one.score is not None]
    gained = [one.exploit.name for one in tried if one.gained]
    return {"exploits": len(tried), "contained": len(tried) - len(gained), "gained": gained}
