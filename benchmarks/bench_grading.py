"""Grading a class: submissions an hour, what the judge costs over plain nbgrader, and what more workers bring.

python benchmarks/bench_grading.py                 a class of 200: hours on two cores
python benchmarks/bench_grading.py --quick         a class of 4
python benchmarks/bench_grading.py --students 40

The class is the sample class and the planted wrong answers over and over, each with a remark of its own in every cell,
so that no two submissions are equal work. Plain nbgrader executes the whole notebook in the student's own kernel, the
visible checks in it; the judge starts a sandboxed worker for each exercise, runs the hidden checks too and times what
is right. For the same checks the judge is also measured on the visible ones alone. A run that was killed goes on where
it was: finished submissions stand in the ledger, finished phases in a file, under _build/bench_grading/.
"""

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report import ROOT, Row, arguments, report

sys.path.insert(0, str(ROOT))

from autograder import gradebook
from autograder.answers import answered_notebook, read_answer_file, solution_cells
from autograder.bundle import ReleasedNotebook, read_bundle
from autograder.controller import grade
from autograder.course import Course, write_durably
from autograder.judging import Job, Policy, judging_for
from autograder.release import solution_text

ASSIGNMENT = "a02_speculative_decoding"
SLOW_ON_PURPOSE = ("endless_loop",)  # it measures a deadline
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
    files = [*course.sample_class(ASSIGNMENT).glob("*.py"), *(course.tasks(ASSIGNMENT) / "mutants").glob("*.py")]
    answers = [read_answer_file(path) for path in sorted(files) if path.stem not in SLOW_ON_PURPOSE]
    for number in range(students):
        path = course.submission(f"s{number:03d}", ASSIGNMENT)
        if not path.is_file():
            notebook = answered_notebook(answers[number * 7 % len(answers)], released, solutions)
            write_durably(path, json.dumps(_with_remark(notebook, f"# student {number}")))
    return course


def _with_remark(notebook: dict[str, Any], remark: str) -> dict[str, Any]:
    """The notebook with a line more in each solution cell."""
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = f"{''.join(cell['source'])}\n{remark}"
    return notebook


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
    released = ReleasedNotebook.load(course.student_notebook(ASSIGNMENT))
    policy = Policy(hidden=False, speed=False)
    jobs = [
        Job(read_bundle(course.submission(one, ASSIGNMENT), ASSIGNMENT, released), policy)
        for one in course.students(ASSIGNMENT)
    ]
    with judging_for(course, ASSIGNMENT) as judging:
        new = sum(judging.recorded(job) is None for job in jobs)
        began = time.monotonic()
        judging.results(jobs, workers=1)
        return (time.monotonic() - began) / max(1, new)


def whole_grading(students: int, workers: int) -> dict[str, float]:
    """`autograder grade` on the class: seconds a submission that was not graded before, and those of recording one."""
    course = make_course(PLACE / f"workers-{workers}", students)
    released = ReleasedNotebook.load(course.student_notebook(ASSIGNMENT))
    bundles = [read_bundle(course.submission(s, ASSIGNMENT), ASSIGNMENT, released) for s in course.students(ASSIGNMENT)]
    with judging_for(course, ASSIGNMENT) as judging:
        new = sum(judging.recorded(Job(bundle, Policy())) is None for bundle in bundles)
    began = time.monotonic()
    first = grade(course, ASSIGNMENT, workers=workers)
    graded = time.monotonic()
    again = grade(course, ASSIGNMENT, workers=workers)
    recording = (time.monotonic() - graded) / students
    if first.json() != again.json() or first.grader_failed:
        raise RuntimeError(f"the class was not graded as it should be, see {course.root}")
    new = max(1, new)
    return {"judging": (graded - began) / new, "recording": recording, "new": new, "students": students}


def phase(name: str, measure: Callable[[], Any]) -> Any:
    """What a phase measured, or had measured before this run was killed."""
    path = PLACE / "phases.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if name not in known:
        print(f"{name} ...", file=sys.stderr, flush=True)
        known[name] = measure()
        write_durably(path, json.dumps(known))
    return known[name]


def main() -> None:
    options = arguments(str(__doc__), {"students": "how many hand in; default 200, with --quick 4"})
    students, cores = options.students or (4 if options.quick else 200), os.cpu_count() or 1
    plain = phase(f"{students} plain", lambda: plain_nbgrader(students))
    visible = phase(f"{students} visible", lambda: visible_checks(students))
    alone = phase(f"{students} by 1", lambda: whole_grading(students, 1))
    together = phase(f"{students} by {cores}", lambda: whole_grading(students, cores)) if cores > 1 else alone
    same = visible + alone["recording"]
    ratios = {
        "plain nbgrader / grader on the visible checks": plain / same,
        "plain nbgrader / grader with all checks and timings": plain / alone["judging"],
        f"efficiency from 1 worker to {cores}": alone["judging"] / together["judging"] / cores,
    }
    details = {
        "students": students,
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
    shutil.rmtree(PLACE)


if __name__ == "__main__":
    main()
