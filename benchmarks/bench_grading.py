"""Grading a class: submissions an hour, what the judge costs over plain nbgrader, and what more workers bring.

python benchmarks/bench_grading.py                 a class of 200, killed once in the middle: about an hour on two cores
python benchmarks/bench_grading.py --quick         a class of 4
python benchmarks/bench_grading.py --students 40

The class is the sample class and the planted wrong answers over and over, each with a remark of its own in every cell,
so that no two submissions are equal work, and without the demonstrations between the exercises, which only plain
nbgrader would execute. All of it is graded with as many workers as there are cores; when half is done the grader is
killed with SIGKILL, started again, and then its outcome is looked at: nobody may be lost, and equal answers must have
equal correctness. What is compared is measured on the first of the class. Plain nbgrader executes the notebook in the
student's own kernel, the visible checks in it; the judge starts a sandboxed worker for each exercise, runs the hidden
checks too and times what is right. For the same checks the judge is also measured on the visible ones alone. A run that
was killed goes on where it was: finished submissions stand in the ledger, finished phases in a file, under
_build/bench_grading/, until the report is saved.
"""

import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report import ROOT, Row, arguments, report, say, update

sys.path.insert(0, str(ROOT))

from autograder.assurance.answers import AnswerFile, answered_notebook, solution_cells
from autograder.assurance.mutants import read_mutants
from autograder.assurance.sample import sample_students
from autograder.cells.bundle import read_bundle
from autograder.cells.released import ReleasedNotebook
from autograder.checks import load_task
from autograder.controller import gradebook
from autograder.controller.course import Course
from autograder.controller.grading import grade
from autograder.controller.judge_runs import Job, Policy, judging_for
from autograder.controller.release import solution_text
from autograder.wire.files import write_durably

ASSIGNMENT = "a02_speculative_decoding"
SLOW_ON_PURPOSE = ("endless_loop",)  # it measures a deadline
COMPARED = 8  # submissions on which two ways of grading are compared
PLACE = ROOT / "_build" / "bench_grading"
PLAIN = """c = get_config()
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.Autograde.force = True
c.Execute.timeout = 600
"""


def make_course(folder: Path, students: int, config: str = "") -> Course:
    """A course folder of its own with that many submissions; what is there already is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("solutions", "assignments", "lib", "autograder", "pyproject.toml", "requirements.txt"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    write_durably(folder / "nbgrader_config.py", config or (ROOT / "nbgrader_config.py").read_text(encoding="utf-8"))
    course = Course(folder)
    released = ReleasedNotebook.load(course.student_notebook(ASSIGNMENT))
    solutions = solution_cells(course, ASSIGNMENT)
    answers = _answers(course)
    for number in range(students):
        path = course.submission(f"s{number:03d}", ASSIGNMENT)
        if not path.is_file():
            notebook = answered_notebook(answers[_answer(number, answers)], released, solutions)
            write_durably(path, json.dumps(_handed_in(notebook, f"# student {number}")))
    return course


def _answers(course: Course) -> list[AnswerFile]:
    """The answers that are submitted."""
    found = [*sample_students(course, ASSIGNMENT), *read_mutants(course, ASSIGNMENT)]
    return [one for one in found if one.name not in SLOW_ON_PURPOSE]


def _answer(number: int, answers: list[AnswerFile]) -> int:
    """Which of them a student submits."""
    return number * 7 % len(answers)


def _handed_in(notebook: dict[str, Any], remark: str) -> dict[str, Any]:
    """The notebook with a line more in each solution cell, without the demonstrations between the exercises."""
    notebook["cells"] = [cell for cell in notebook["cells"] if not _demonstrates(cell)]
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = f"{''.join(cell['source'])}\n{remark}"
    return notebook


def _demonstrates(cell: dict[str, Any]) -> bool:
    """Code that is neither an answer nor a check: only plain nbgrader would run it, for minutes in some notebooks."""
    return (
        cell["cell_type"] == "code" and "nbgrader" not in cell["metadata"] and "check(" not in "".join(cell["source"])
    )


def _jobs(course: Course, policy: Policy) -> list[Job]:
    """What the judge is given of the class, in the order of its students."""
    released = ReleasedNotebook.load(course.student_notebook(ASSIGNMENT))
    paths = [course.submission(student, ASSIGNMENT) for student in course.students(ASSIGNMENT)]
    return [Job(read_bundle(path, ASSIGNMENT, released), policy) for path in paths]


def plain_nbgrader(students: int) -> float:
    """Seconds a submission of nbgrader's own autograde, with its own execution of the notebook."""
    course = make_course(PLACE / "plain", students, PLAIN)
    os.environ["PYTHONPATH"] = f"{ROOT / 'lib'}:{ROOT}"  # for the kernel
    gradebook.register(course, ASSIGNMENT, solution_text(course, ASSIGNMENT))
    began = time.monotonic()
    for student in course.students(ASSIGNMENT):
        gradebook.autograde(course, ASSIGNMENT, student)
    return (time.monotonic() - began) / students


def visible_checks(students: int) -> float:
    """Seconds a submission of the judge on the visible checks, one submission at a time, and of recording scores."""
    course = make_course(PLACE / "visible", students)
    jobs = _jobs(course, Policy(hidden=False, speed=False))
    with judging_for(course, ASSIGNMENT) as judging:
        new = sum(judging.recorded(job) is None for job in jobs)
        began = time.monotonic()
        judging.results(jobs, workers=1)
        return (time.monotonic() - began) / max(1, new)


def whole_grading(students: int, workers: int) -> dict[str, float]:
    """`autograder grade` on the class: seconds a submission that was not graded before, and those of recording one."""
    course = make_course(PLACE / f"workers-{workers}", students)
    with judging_for(course, ASSIGNMENT) as judging:
        new = sum(judging.recorded(job) is None for job in _jobs(course, Policy()))
    began = time.monotonic()
    first = grade(course, ASSIGNMENT, workers=workers)
    graded = time.monotonic()
    again = grade(course, ASSIGNMENT, workers=workers)
    recording = (time.monotonic() - graded) / students
    if first.json() != again.json() or first.grader_failed:
        raise RuntimeError(f"the class was not graded as it should be, see {course.root}")
    new = max(1, new)
    return {"judging": (graded - began) / new, "recording": recording, "new": new, "students": students}


def killed_class(students: int, workers: int) -> dict[str, Any]:
    """`autograder grade` on the whole class, killed with SIGKILL when half of it is done, and started again."""
    course = make_course(PLACE / "class", students)
    command = [sys.executable, "-m", "autograder", "grade", ASSIGNMENT, "--workers", str(workers), "--json"]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=course.root, stdout=subprocess.DEVNULL) as first:
        while (done := _done(course)) < students // 2 and first.poll() is None:
            update(f"killed class: {done} of {students}")
            time.sleep(1)
        os.kill(first.pid, signal.SIGKILL)
    second = subprocess.run(command, cwd=course.root, stdout=subprocess.PIPE, check=True)
    seconds = time.monotonic() - began
    scores = json.loads(second.stdout)
    if scores["graded"] != students or scores["not_graded"]:
        raise RuntimeError(f"{scores['graded']} of {students} were graded, see {course.root}")
    runs = len(course.audit_path.read_text(encoding="utf-8").splitlines())
    return {
        "seconds": seconds, "done when killed": done, "judge runs": runs, "invalid timings": scores["invalid"],
        "students whose correctness differs from that of others with the same answers": _differing(course),
    }  # fmt: skip


def _done(course: Course) -> int:
    """How many jobs the ledger has finished."""
    if not course.ledger_path.is_file():
        return 0
    with sqlite3.connect(f"file:{course.ledger_path}?mode=ro", uri=True) as database:
        return int(database.execute("SELECT count(*) FROM jobs WHERE state = 'DONE'").fetchone()[0])


def _differing(course: Course) -> int:
    """Students whose checks, timings apart, did not come out as those of the first with the same answers; printed."""
    task, answers = load_task(course.tasks(ASSIGNMENT)), _answers(course)
    timed = {one.name for checks in task.checks.values() for one in checks if one.speed}
    found: dict[int, list[Any]] = defaultdict(list)
    differing = 0
    with judging_for(course, ASSIGNMENT) as judging:
        for number, job in enumerate(_jobs(course, Policy())):
            result = judging.recorded(job)
            assert result is not None
            rows = [row for exercise in result.exercises.values() for row in exercise.checks if row.name not in timed]
            same, correct = found[_answer(number, answers)], [(row.name, row.status, row.score) for row in rows]
            same.append(correct)
            for first, one in zip(same[0], correct, strict=True):
                if first != one:
                    print(f"{answers[_answer(number, answers)].name}: {first} and, of student {number}, {one}")
            differing += correct != same[0]
    return differing


def phase(name: str, measure: Callable[[], Any]) -> Any:
    """What a phase measured, or had measured before this run was killed."""
    path = PLACE / "phases.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if name not in known:
        say(name)
        known[name] = measure()
        write_durably(path, json.dumps(known))
    return known[name]


def main() -> None:
    options = arguments(str(__doc__), {"students": "how many submit; default 200, with --quick 4"})
    students, cores = options.students or (4 if options.quick else 200), os.cpu_count() or 1
    few = min(students, COMPARED)
    plain = phase(f"{few} plain", lambda: plain_nbgrader(few))
    visible = phase(f"{few} visible", lambda: visible_checks(few))
    alone = phase(f"{few} by 1", lambda: whole_grading(few, 1))
    together = phase(f"{few} by {cores}", lambda: whole_grading(few, cores)) if cores > 1 else alone
    whole = phase(f"{students} by {cores}, killed", lambda: killed_class(students, cores))
    same = visible + alone["recording"]
    ratios = {
        "plain nbgrader / grader on the visible checks": plain / same,
        "plain nbgrader / grader with all checks and timings": plain / alone["judging"],
        f"efficiency from 1 worker to {cores}": alone["judging"] / together["judging"] / cores,
    }
    details = {
        "students": students,
        f"submissions an hour, {cores} workers, killed and started again": round(
            3600 * students / whole.pop("seconds"), 1
        ),
        **whole,
        "submissions that the following were measured on": few,
        "submissions an hour, 1 worker": round(3600 / alone["judging"], 1),
        f"submissions an hour, {cores} workers": round(3600 / together["judging"], 1),
        "plain nbgrader, s a submission": round(plain, 2),
        "grader on the visible checks, s a submission": round(same, 2),
        "overhead over plain nbgrader on the visible checks, s a submission": round(same - plain, 2),
        "grader with all checks and timings, s a submission": round(alone["judging"], 2),
        "of which recording in nbgrader's gradebook": round(alone["recording"], 2),
        "load average in the last minute": round(os.getloadavg()[0], 1),
        "graded in this run, not before it was killed": [alone["new"], together["new"]],
    }
    report("bench_grading", [Row(name, one, one, one, math.nan) for name, one in ratios.items()], details, options)
    if options.save or options.quick:
        shutil.rmtree(PLACE)


if __name__ == "__main__":
    main()
