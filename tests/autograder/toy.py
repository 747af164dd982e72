"""A toy course in a temporary folder, and a judge that reads instead of running: fast, and with every outcome."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autograder.assurance.answers import AnswerFile, answered_notebook, solution_cells
from autograder.cells.released import ReleasedNotebook
from autograder.controller import gradebook
from autograder.controller.course import Course
from autograder.controller.grading import grade
from autograder.controller.judge_runs import Policy
from autograder.controller.record import ClassRecord
from autograder.wire.files import write_durably

ROOT = Path(__file__).resolve().parents[2]
TOY = "a90_toy"

MASTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A toy assignment

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: setup, locked: true, schema_version: 3, solution: false}
---
from autograder.check import Checker

check = Checker("a90_toy")
```

Add two numbers.

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: add, locked: false, schema_version: 3, solution: true}
---
def add(a, b):
    ### BEGIN SOLUTION
    return a + b  # canary-solution-add
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: add_test, locked: true, points: 2, schema_version: 3, solution: false}
---
check("add", add)
### BEGIN HIDDEN TESTS
check.hidden("add")  # canary-hidden
### END HIDDEN TESTS
```

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: double, locked: false, schema_version: 3, solution: true}
---
def double(a):
    ### BEGIN SOLUTION
    return add(a, a)  # canary-solution-double
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: double_test, locked: true, points: 3, schema_version: 3, solution: false}
---
check("double", double)
### BEGIN HIDDEN TESTS
check.hidden("double")
### END HIDDEN TESTS
```
"""

TASK = """title = "A toy"
chapter = "book/none"

[[exercise]]
id = "add"
title = "Addition"
minutes = 1
difficulty = 1
provides = ["add"]
injects = {}
deadline_s = 20

[[exercise]]
id = "double"
title = "Doubling"
minutes = 1
difficulty = 1
provides = ["double"]
injects = { add = "operator:add" }
deadline_s = 20
"""

VISIBLE = {
    "add": '''from autograder.checks import check, fail


@check("add")
def adds_one_and_two(call, rng):
    """One and two make three."""
    if (got := call("add", 1, 2)) != 3:
        fail("add gives something else for 1 and 2", got=got, want=3)
''',
    "double": '''from autograder.checks import check, fail


@check("double")
def doubles_four(call, rng):
    """Twice four is eight."""
    if (got := call("double", 4)) != 8:
        fail("double gives something else for 4", got=got, want=8)
''',
}

CHECKS = {
    "add": '''from autograder.checks import check, fail, integer


@check("add", points=1)
def adds_any_numbers(call, rng):
    """Any two numbers are added."""
    a, b = integer(rng, -99, 99), integer(rng, -99, 99)
    if call("add", a, b) != a + b:
        fail("the sum is wrong: is a sign lost?")


@check("add", points=1)
def adds_negative_numbers(call, rng):
    """Negative numbers are added."""
    if call("add", -1, -2) != -3:
        fail("the sum of negative numbers is wrong")
''',
    "double": '''from autograder.checks import check, fail, integer


@check("double", points=3)
def doubles_any_number(call, rng):
    """Any number is doubled."""
    a = integer(rng, 1, 99)
    if call("double", a) != 2 * a:
        fail("not twice the number")
''',
}

JUDGE = '''"""Stands in for the judge: looks for phrases in the source and writes the result they ask for."""
import json, os, sys, time
job = json.load(open(sys.argv[1]))
with open("judge_runs.txt", "a") as runs:
    runs.write(job["key"] + "\\n")
wanted = job["exercises"] or list(job["cells"])
right = {"add": "a + b", "double": "add(a, a)"}
points = {"add": 2, "double": 3}
exercises = {}
for name in wanted:
    source = job["cells"][name] or ""
    if "JUDGE_DIES" in source:
        sys.exit("the judge fell over")
    if "JUDGE_SLEEPS" in source:
        time.sleep(60)
    passed = right[name] in source
    if "GRADER_BUG" in str(job["cells"]):
        log = "Traceback (most recent call last):\\nTypeError: a check of ours broke"
        exercises[name] = {"score": 0, "max": 0, "status": "not_graded", "checks": [], "log": log}
        continue
    worth = points[name] if job["hidden"] else 0
    status = "graded"
    if "JUDGE_NEEDS_GPU" in source:
        status = "not_graded"
    one = {"name": name + "_is_right", "title": "It <b>works</b>", "points": worth * passed, "max": worth,
           "status": "passed" if passed else "failed", "message": "" if passed else "look at the <sign>"}
    checks = [one]
    if "JUDGE_DISTURBED" in source:
        checks.append({"name": "fast", "title": "Fast", "points": 0, "max": 1, "status": "not_graded",
                       "message": "noise", "details": {"interval": None}})
    exercises[name] = {"score": worth * passed, "max": worth, "status": status, "checks": checks, "log": ""}
result = {"key": job["key"], "judge_version": "fake", "sandbox": "none", "exercises": exercises, "seconds": 0.0}
if "JUDGE_LIES" in str(job["cells"]):
    result["exercises"]["add"]["score"] = float("nan")
own = f"{sys.argv[2]}.{os.getpid()}.tmp"
json.dump(result, open(own, "w"))
os.replace(own, sys.argv[2])
'''


ADD = "def add(a, b):\n    return a + b"
DOUBLE = "def double(a):\n    return add(a, a)"


class Toy:
    """The toy course with what tests do to it."""

    def __init__(self, root: Path) -> None:
        self.course = Course(root)
        judge = root / "fake_judge.py"
        judge.write_text(JUDGE)
        self.policy = Policy(judge_command=(sys.executable, str(judge)))

    @property
    def judge_runs(self) -> int:
        runs = self.course.root / "judge_runs.txt"
        return len(runs.read_text().splitlines()) if runs.is_file() else 0

    def released(self) -> ReleasedNotebook:
        return ReleasedNotebook.load(self.course.student_notebook(TOY))

    def notebook(self, **cells: str) -> dict:
        """The notebook of a student who answers as given and leaves the rest as released."""
        answer = AnswerFile("test", "", {"base": "stub"}, cells, (), ())
        return answered_notebook(answer, self.released(), solution_cells(self.course, TOY))

    def submit(self, student: str, content: dict | str | bytes) -> Path:
        path = self.course.submission(student, TOY)
        if isinstance(content, bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        else:
            write_durably(path, content if isinstance(content, str) else json.dumps(content))
        return path

    def with_policy(self, **changes: object) -> Policy:
        return replace(self.policy, **changes)  # type: ignore[arg-type]


def link_repository(root: Path) -> Course:
    """A course folder of its own for this repository's assignments: what grading writes lands in `root`."""
    shutil.copy(ROOT / "nbgrader_config.py", root)
    for name in ("solutions", "assignments", "lib", "autograder", "pyproject.toml", "requirements.txt"):
        (root / name).symlink_to(ROOT / name)
    return Course(root)


def write_task(folder: Path, task: str, visible: Mapping[str, str], checks: Mapping[str, str], setup: str = "") -> Path:
    """A task's folder with the files of its exercises."""
    write_durably(folder / "task.toml", task)
    write_durably(folder / "setup.py", setup)
    for kind, files in (("visible", visible), ("checks", checks)):
        for name, text in files.items():
            write_durably(folder / kind / f"{name}.py", text)
    return folder


def make_toy_course(root: Path) -> Course:
    """Write the toy assignment's files under `root`."""
    course = Course(root)
    root.mkdir(exist_ok=True)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    write_durably(course.master(TOY), MASTER)
    write_task(course.tasks(TOY), TASK, VISIBLE, CHECKS, "import math\n")
    return course


def graded(toy: Toy, **options: Any) -> ClassRecord:
    """The class as it is after grading."""
    return grade(toy.course, TOY, policy=toy.policy, **options)


def book(toy: Toy) -> dict[str, dict[str, float | None]]:
    """What nbgrader's gradebook holds."""
    return gradebook.scores(toy.course, TOY)
