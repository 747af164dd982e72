"""What a graded cell takes from other cells is named with the cell that has it, and what is its own is not."""

import time

import pytest

from autograder.cells import names
from autograder.cells.bundle import bundle_of
from autograder.cells.names import Own, borrowed, bound_names, import_remarks
from autograder.cells.packages import hidden_by, is_there
from autograder.cells.released import ReleasedNotebook, cells_of

OWN = """import math
import numpy.linalg as la, os.path; Z = 3
from functools import (
    reduce,
    partial as p,
)
EPS: float = 1e-6
LATER: int
half = lambda x: x / 2
a, (b, *c) = 1, (2, 3)
q = r = 5
SIZES += [1]
def helper(): inner = 1
async def later(): pass
class Box: pass
for step in range(3): pass
with open('f') as handle: pass
"""


def test_every_way_to_bind_a_name_is_known() -> None:
    found = bound_names(OWN)
    assert {name for name, verb in found.items() if verb == "imports"} == {"math", "la", "os", "reduce", "p"}
    assert {name for name, verb in found.items() if verb == "defines"} == {"helper", "later", "Box"}
    sets = {"Z", "EPS", "LATER", "half", "a", "b", "c", "q", "r", "step", "handle"}
    assert sets <= {name for name, verb in found.items() if verb == "sets"}
    assert "inner" not in found


def mentioned(source: str, own: str = OWN, given: tuple[str, ...] = ()) -> set[str]:
    return {remark.split("'")[3] for remark in borrowed("f", source, [Own("cell 2", own)], given)}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(x):\n    return math.pi * x", {"math"}),
        ("def f(x):\n    return half(x) + EPS + Z", {"half", "EPS", "Z"}),
        ("def f(x):\n    return reduce(p, Box(), la.norm(x))", {"reduce", "p", "Box", "la"}),
        ("def f(x: Box = EPS, y=Z):\n    return x", {"EPS", "Z"}),
        ("import math\ndef f(x):\n    return math.pi", set()),
        ("def f(q, r):\n    a = q\n    for b in r: a += b\n    return a", set()),
        ("def f(x):\n    a, b = x\n    return lambda q: a + b + q", set()),
        ("def f(x):\n    '''helper math'''\n    return x.half + x.EPS  # Box", set()),
        ("def f(x):\n    return [q for q in x if q]", set()),
        ("def f(x):\n    with x as handle:\n        return g(EPS=1, half=handle)", set()),
        ("%timeit helper()\ndef f(x):\n    return x", set()),
    ],
)
def test_names_of_other_cells_are_named_and_own_ones_are_not(source: str, names: set[str]) -> None:
    assert mentioned(source) == names


def test_what_the_grader_has_too_is_not_named() -> None:
    assert mentioned("def f(x):\n    return math.pi * len(x)", "import math\nlen = 3", ("math",)) == set()


def test_a_function_that_the_cell_should_define_is_found_in_another() -> None:
    (remark,) = borrowed("f", "def g(): pass", [Own("cell 5", "def f(): pass")], {"f"}, {"f", "g"})
    assert remark.startswith("The cell of 'f' lacks 'f', which cell 5 defines.")


def test_packages_that_are_not_there_are_named_with_their_line() -> None:
    source = "import torch, numpy as np, math\nimport matplotlib.pyplot as plt\ndef f():\n    from pandas.io import x\n"
    shown, refused = import_remarks(source + "import my_helpers; from einops import rearrange", is_there)[:2]
    assert shown.startswith("Line 2: matplotlib is not there where this cell is graded. What it draws or shows")
    assert refused == "Line 4: pandas is not there where this cell is graded. Do without it in this cell."
    assert not import_remarks("'''\nimport pandas\n'''\n# import pandas\n", is_there)


def test_a_module_of_the_library_is_hidden_by_what_is_not_shown() -> None:
    shows = ("nimblelm.data", "nimblelm.inference.decoding.cache")
    assert hidden_by("nimblelm.inference.speculative.x", shows) == "nimblelm.inference.speculative"
    assert hidden_by("nimblelm.nn.attention", shows) == "nimblelm.nn"
    assert hidden_by("nimblelm", ()) == "nimblelm"
    assert {hidden_by(name, shows) for name in ("nimblelm", "nimblelm.data.x", "nimblelm.inference")} == {""}


def notes(*cells: tuple[str | None, str], **marks: bool) -> tuple[str, ...]:
    """The notes on a notebook with an exercise `add` after a locked cell `setup`."""
    raw = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {"nbgrader": {"grade_id": name, "solution": name == "add", "locked": name == "setup"}}
            if name
            else {},
        }
        for name, source in cells
    ]
    released = ReleasedNotebook(
        {"cells": []}, {"add": "def add(a, b):\n    pass"}, {"setup": "import torch\n\nx = 1\n"}
    )
    return bundle_of(cells_of({"cells": raw}), "a90_toy", released).notes


ADD = "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    "setup", ["import torch\r\n\r\nx = 1\r\n", "import torch  \n\t\nx = 1", "\nimport torch\n\nx = 1\n\n"]
)
def test_other_line_ends_and_blanks_at_the_ends_of_lines_are_no_edit(setup: str) -> None:
    assert notes(("setup", setup), ("add", ADD)) == ()


def test_an_import_added_to_the_setup_is_named_where_it_is_missed() -> None:
    edited, missed = notes(("setup", "import torch, math\n\nx = 1"), ("add", ADD + " * math.pi"))
    assert "'setup' was edited" in edited
    assert "mentions 'math', which the cell 'setup' imports" in missed


def test_notes_name_commands_packages_and_the_number_of_an_own_cell() -> None:
    source = f"%%time\n{ADD} + LIMIT\nimport pandas\n"
    command, package, name = notes(("setup", "import torch\n\nx = 1"), (None, "LIMIT = 3"), ("add", source))
    assert "Line 1, `%%time`, is an IPython command" in command
    assert "Line 4: pandas is not there" in package
    assert "mentions 'LIMIT', which cell 2 of the notebook sets" in name


def test_a_cell_is_read_once_however_many_exercises_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read, statements = list[str](), names.statements
    monkeypatch.setattr("autograder.cells.names.statements", lambda source: read.append(source) or statements(source))
    other = Own("there", "once = 1  # and no more")
    for number in range(20):
        assert len(borrowed(str(number), f"once + {number}", [other], set())) == 1
    assert read.count(other.source) == 1


@pytest.mark.parametrize(
    "statement",
    ["for" + " " * 480 + "x", "a" * 490, "a" + " " * 480 + "b", "for " * 120, "def f(" + ")->" * 150, "lambda " * 70],
    ids=lambda statement: " ".join(statement.split())[:12],
)
def test_no_text_takes_long_to_be_looked_at(statement: str) -> None:
    """Where a pattern can be met in many ways, time grows with the square or the cube of a statement's length."""
    source = f"{statement}\n" * 80
    began = time.process_time()
    borrowed("one", source, [Own("cell 1", source)], [])
    import_remarks(source, is_there)
    assert time.process_time() - began < 0.6
