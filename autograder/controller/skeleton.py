"""A new assignment that grades at once: a small exercise that passes its checks, to be replaced piece by piece."""

import keyword
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from autograder.checks.task_files import HIDDEN, MUTANTS, SETUP, TASK, VISIBLE
from autograder.controller.course import Course
from autograder.wire.errors import UsageError
from autograder.wire.files import text_of, write_durably

NAME = re.compile(r"a\d\d_[a-z0-9]+(?:_[a-z0-9]+)*")
POINTS, MINUTES = 3, 15  # of an exercise

INTRODUCTION = Template("""---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Assignment $number: $title

You write the parts of ... Each has a few lines to fill in, checks that run at once and say what they think went wrong,
and hidden checks that grade it. The chapter *$chapter_title* derives what you need. No GPU is needed. Plan for
$minutes minutes.

How it is graded:

- Only the cells that hold `raise NotImplementedError` are collected. Put helpers, constants and imports that you need
  **inside** those cells: each is graded alone, as plain Python. The check below a cell runs it so, too. IPython's
  commands, such as `%timeit` and `!ls`, are left out there, and nothing is drawn.
- Each piece is graded on its own, with inputs from the judge: a mistake in one costs no points in another.

```{code-cell} ipython3
---
nbgrader:
  grade: false
  grade_id: setup
  locked: true
  schema_version: 3
  solution: false
  task: false
---
import torch
from autograder.check import Checker

check = Checker("$assignment")
```
""")

EXERCISE = Template("""
## Exercise $place: $words

*$points points, $minutes minutes.* Return twice the tensor `x`, as a new tensor of the same shape.

```{code-cell} ipython3
---
nbgrader:
  grade: false
  grade_id: $exercise
  locked: false
  schema_version: 3
  solution: true
  task: false
---
def $exercise(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
```

```{code-cell} ipython3
check("$exercise", $exercise)
```

```{code-cell} ipython3
---
nbgrader:
  grade: true
  grade_id: ${exercise}_test
  locked: true
  points: $points
  schema_version: 3
  solution: false
  task: false
---
### BEGIN HIDDEN TESTS
check.hidden("$exercise")
### END HIDDEN TESTS
```
""")

TABLE = Template("""
[[exercise]]
id = "$exercise"
title = "$title"
minutes = $minutes
difficulty = 1  # of 5
provides = ["$exercise"]  # the functions that its cell defines, as `check` is given them
shows = []  # modules of lib that its cell may import, such as "nimblelm.nn"; all others are masked
injects = {}  # names that it stands on: { accept = "nimblelm.inference.speculative.acceptance:count_accepted" }
deadline_s = 60
hints = [
    "The first of three hints, which says the least.",
]
""")

SHOWN = Template('''"""$title: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor


@check("$exercise")
def ${exercise}_of_three_numbers(call, rng):
    """One, two and three become two, four and six."""
    got = expect_tensor(call("$exercise", torch.tensor([1.0, 2.0, 3.0])), "the result", shape=(3,), dtype="float")
    expect_close(got, torch.tensor([2.0, 4.0, 6.0]), "the result", hint="multiply each number by 2")
''')

CHECKS = Template('''"""$title: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor, integer


@check("$exercise", points=1)
def ${exercise}_of_any_numbers(call, rng):
    """Any numbers are doubled."""
    x = torch.randn(integer(rng, 2, 9), generator=rng())
    got = expect_tensor(call("$exercise", x), "the result", shape=(len(x),), dtype="float")
    expect_close(got, x + x, "the result")


@check("$exercise", points=1)
def ${exercise}_of_any_shape(call, rng):
    """The result has the shape of the input, also where that has no dimension or no number."""
    for shape in ((), (0,), (3, 1), (2, 3, 4)):
        got = expect_tensor(call("$exercise", torch.ones(shape)), f"the result for the shape {shape}", shape=shape)
        expect_equal(got.unique().tolist(), [2.0] * bool(got.numel()), f"numbers of the result for the shape {shape}")


@check("$exercise", points=1)
def ${exercise}_again(call, rng):
    """The same input gives the same again."""
    x = torch.randn(5, generator=rng())
    for _ in range(2):
        expect_close(call("$exercise", x), x + x, "the result")
''')

WRONG = Template("""Gives back its input.

kills: ${exercise}_of_any_numbers, ${exercise}_of_any_shape, ${exercise}_again
visible: ${exercise}_of_three_numbers

@@
-    return 2 * x
+    return x
""")

SLIDE = Template("""
[[lecture.slide]]
title = "$title"
section = "ch$chapter-$anchor"
symbols = []
exercises = ["$assignment/$exercise"]
""")


def write_skeleton(course: Course, assignment: str, exercises: Sequence[str]) -> list[Path]:
    """Write the master and the task of a new assignment, and its rows in book/_data/slides.toml; the paths, in order.

    Raises:
        UsageError: a name cannot be used, the assignment exists, or no chapter plans it.
    """
    _require_names(course, assignment, exercises)
    chapter = _chapter_of(course, assignment)
    files = _files(course, assignment, exercises, chapter)
    for path, text in files.items():
        write_durably(path, text)
    slides = course.root / "book" / "_data" / "slides.toml"
    rows = [
        SLIDE.substitute(
            assignment=assignment, exercise=one, title=_words(one), chapter=f"{chapter['number']:02d}",
            anchor=one.replace("_", "-"),
        )
        for one in exercises
    ]  # fmt: skip
    write_durably(slides, text_of(slides).rstrip("\n") + "\n" + "".join(rows))
    return [*files, slides]


def _files(course: Course, assignment: str, exercises: Sequence[str], chapter: dict[str, Any]) -> dict[Path, str]:
    title, number = _words(assignment[4:]), int(assignment[1:3])
    total = MINUTES * len(exercises)
    master = INTRODUCTION.substitute(
        number=number, title=title, chapter_title=chapter["title"], minutes=total, assignment=assignment
    )
    page = f"book/ch{chapter['number']:02d}_{chapter['slug']}"
    table = f'title = "{title}"\nchapter = "{page}"\n'
    tasks, files = course.tasks(assignment), {}
    for place, name in enumerate(exercises, 1):
        values = {
            "place": place, "exercise": name, "title": _words(name), "words": _words(name).lower(),
            "points": POINTS, "minutes": MINUTES,
        }  # fmt: skip
        master += EXERCISE.substitute(values)
        table += TABLE.substitute(values)
        files[tasks / VISIBLE / f"{name}.py"] = SHOWN.substitute(values)
        files[tasks / HIDDEN / f"{name}.py"] = CHECKS.substitute(values)
        files[tasks / MUTANTS / name / "unchanged.patch"] = WRONG.substitute(values)
    return {course.master(assignment): master, tasks / TASK: table, tasks / SETUP: "import torch\n", **files}


def _require_names(course: Course, assignment: str, exercises: Sequence[str]) -> None:
    if not NAME.fullmatch(assignment):
        raise UsageError(f"An assignment is named like a05_quantization, with small letters, not {assignment!r}.")
    for name in exercises:
        if not name.isidentifier() or name != name.lower() or keyword.iskeyword(name) or name in ("setup", "check"):
            raise UsageError(f"An exercise is named like a function of Python, with small letters, not {name!r}.")
    if len(set(exercises)) != len(exercises) or not exercises:
        raise UsageError("Name each exercise once, one at least.")
    for taken in (course.master(assignment).parent, course.tasks(assignment)):
        if taken.exists():
            raise UsageError(f"{taken.relative_to(course.root)} exists already.")


def _chapter_of(course: Course, assignment: str) -> dict[str, Any]:
    """The first chapter that plans an assignment of this number."""
    path = course.root / "book" / "_data" / "chapters.toml"
    chapters = [one for part in tomllib.loads(text_of(path))["part"] for one in part["chapters"]]
    planned = [one for one in chapters if one.get("assignment") == assignment[:3]]
    if not planned:
        raise UsageError(f"No chapter of book/_data/chapters.toml has assignment = {assignment[:3]!r}.")
    return planned[0]


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
