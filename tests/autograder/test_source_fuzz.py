"""Whatever text a cell holds, reading it never fails: not in the judge, the controller or the worker."""

import ast
import contextlib
import json
import time
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autograder.cells.bundle import MAX_CELL_CHARS, clean_source, read_bundle
from autograder.cells.kernel_source import kernels_only
from autograder.cells.released import ReleasedNotebook
from autograder.checks import Exercise
from autograder.controller.nbgrader_step import bundle_in, spliced
from autograder.judge import judge, sandbox
from autograder.runtime.execution import Problem, run_cell
from tests.autograder.toy_judge import judged

HOST = "def launch(x):\n    return kernel[(1,)](x, tiles())\n"
KERNEL = "@triton.jit\ndef kernel(x, N: tl.constexpr = 4):\n    tl.store(x, tl.load(x) * SIZE + N)\n"
CELL = f"import math\nSIZE: tl.constexpr = 16\nBIG = (1, -2.5, 3 + 4j)\ndef tiles():\n    return {{64: 'a'}}\n{KERNEL}"

numbers = st.sampled_from(
    ["0x" + "f" * 300, "0x" + "f" * 60_000, "9" * 5000, "1e999", "1e-999", "0b1" * 9, "1_0", "0o7", "1j", "1e999j", "0"]
)
texts = st.sampled_from(
    ["'\\ud800'", "b'\\xff'", "'\\N{no such}'", "'\\d'", "f'{x!r:{y}}'", "'a' 'b'", "'%s'", "'''", '"\\', "...", "None"]
)
literals = st.recursive(
    numbers | texts,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["-", "+", "~", "not "]), inner).map("".join),
        st.tuples(inner, st.sampled_from([" + ", " - ", "**", " % ", "*", "."]), inner).map("".join),
        st.lists(inner, max_size=3).map(lambda items: f"({', '.join(items)},)"),
        st.lists(inner, max_size=3).map(lambda items: f"{{{', '.join(items)}}}"),
        st.lists(st.tuples(inner, inner), max_size=3).map(
            lambda items: f"{{{', '.join(f'{key}: {value}' for key, value in items)}}}"
        ),
    ),
    max_leaves=6,
)
deep = st.builds(
    lambda opening, closing, depth: opening * depth + "1" + closing * depth,
    st.sampled_from(["(", "[", "-", "not ", "1+", "x.", "x[", "f(", "{1:", "lambda:", "1 if 1 else ", "f'{"]),
    st.sampled_from(["", ")", "]", "}"]), st.sampled_from([50, 90, 199, 1000, 3000]),
)  # fmt: skip
odd = st.sampled_from(
    ["\0", "\r", "\f", "\x1b[2J", "\u202e", "\ud800", "\ufeff", "\u2028", "# coding: utf-7\n", "\\\n", "\t", "if 1:\n",
     " " * 101, "\n" * 500, "@", "async ", "\N{MATHEMATICAL BOLD SMALL A}", "def tiles(): return ", "tiles = "]
)  # fmt: skip
statements = st.one_of(
    st.tuples(st.sampled_from(["BIG = ", "SIZE: tl.constexpr = ", "tiles = tl.constexpr(", "",
                               "def tiles():\n    return ", "def tiles():\n    raise NotImplementedError("]),
              literals | deep).map("".join),
    odd, st.text(max_size=20),
)  # fmt: skip


@st.composite
def cells(draw: st.DrawFn) -> str:
    """A good cell with lines taken out, others put in, and characters changed."""
    lines = CELL.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines)))
        lines[at : at + draw(st.integers(0, 2))] = [draw(statements) + draw(st.sampled_from(["\n", "", ";"]))]
    text = "".join(lines)
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(odd | st.just("")) + text[at:]


quietly = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@quietly
@given(cells())
@example("BIG = 0x" + "f" * 300 + " + 1j\n" + KERNEL)
@example("BIG = " + "-" * 100_000 + "1\n" + KERNEL)
@example("BIG = " + "1+" * 90_000 + "1\n" + KERNEL)
@example("\ud800\0" + KERNEL)
def test_kernels_are_taken_of_any_text(cell: str) -> None:
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taken = kernels_only(cell, HOST)
        again = kernels_only(clean_source(cell) or "", HOST)
    assert time.process_time() - began < 5
    assert taken == cell or taken.endswith(HOST)
    assert again.encode()


@quietly
@given(st.lists(st.tuples(st.sampled_from(["BIG = ", "assert ", ""]), literals | deep).map("".join), max_size=3))
def test_a_cell_of_literals_runs_or_says_what_is_wrong(lines: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Problem):  # and nothing else
            run_cell("\n".join(line for line in lines if "*" not in line), "cell", {})


def released() -> ReleasedNotebook:
    marks = [{"grade_id": "add", "solution": True}, {"grade_id": "add_test", "grade": True, "points": 1}]
    found = [{"cell_type": "code", "source": "# stub", "metadata": {"nbgrader": mark}, "outputs": [],
              "execution_count": None, "id": mark["grade_id"]} for mark in marks]  # fmt: skip
    document = {"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return ReleasedNotebook(document, {"add": "# stub"}, {"add_test": "# stub"})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | cells() | st.sampled_from(["add", "add_test", "code"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["cells", "source", "metadata", "nbgrader", "grade_id", "solution", "cell_type"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@st.composite
def notebooks(draw: st.DrawFn) -> bytes:
    """Notebooks whose cells hold any text, in any encoding, and what is no notebook at all."""
    mark = {"grade_id": draw(st.sampled_from(["add", "add", "add_test", "\x1b[2J", "\ud800"])), "solution": True}
    found = [{"cell_type": "code", "source": draw(cells() | anything), "metadata": {"nbgrader": mark}}]
    document = draw(st.just({"cells": [*found, draw(anything)]}) | anything)
    text = json.dumps(document)
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-32", "utf-8-sig"]))) + draw(
        st.sampled_from([b"", b"", b"\0", b"\xff", b"]" * 5, b"[" * 100_000])
    )


@quietly
@given(notebooks())
def test_any_notebook_becomes_a_bundle_that_survives_nbgrader(tmp_path_factory: Any, raw: bytes) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "any.ipynb"
    path.write_bytes(raw)
    found = read_bundle(path, "a90_toy", released())
    assert json.dumps([dict(found.cells), found.notes]).isprintable()
    assert "".join(found.notes).isprintable()
    assert all(len(source or "") <= MAX_CELL_CHARS and (source or "").encode("utf-8") is not None
               for source in found.cells.values())  # fmt: skip
    between = nbformat.reads(nbformat.writes(spliced(released(), found)), as_version=4)  # nbgrader's two passes
    assert bundle_in(between) == found
    assert bundle_in(between).sha256 == found.sha256


@pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
def test_what_breaks_on_reading_a_cell_costs_that_exercise_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: str, exercise: Exercise) -> str:
        raise OverflowError("int too large to convert to float")

    monkeypatch.setattr(judge, "program_of", broken)
    found = judged({"double": "BIG = 1", "draw": None})
    assert (found["double"]["status"], found["double"]["max"]) == ("not_graded", 0)
    assert found["double"]["log"].endswith("OverflowError: int too large to convert to float\n")
    assert found["draw"]["status"] == "graded"


def test_a_number_that_python_cannot_compute_with_is_the_cells_own_mistake() -> None:
    cell = kernels_only("BIG = 0x" + "f" * 300 + " + 1j\n" + KERNEL, HOST)
    ast.parse(cell)
    with pytest.raises(Problem, match="OverflowError"):
        run_cell(cell.removesuffix(HOST), "cell", {})
