"""A cell as it is graded: IPython's own transformer says what is IPython's, the rest is Python line for line."""

import ast
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from autograder.cells.source import as_graded, statements

DEFINED = "def f(x):\n    return x\n"
COMMANDS = {
    "a cell magic": "%%time\n" + DEFINED,
    "a cell magic after empty lines": "\n\n%%timeit -n1 -r1\n" + DEFINED,
    "capture": "%%capture out\n" + DEFINED,
    "line magics": DEFINED + "%timeit -n1 f(1)\n%matplotlib inline\n% time\n",
    "in a block": "def f(x):\n    %timeit g()\n    if x:\n        !ls\n    return x\n",
    "shell": DEFINED + "!pip list\n!!ls\n!echo it's (\n!ls \\\n  -l\n",
    "help": DEFINED + "f?\nf??\n?f\n??f\n%timeit?\n",
    "quotes and calls": DEFINED + "/f 1\n,f a\n;f a\n",
    "assigned": "x = !ls\ny = %pwd\nif x:\n    z = %who_ls\n",
    "time": "%time x = f(1)\ny = %time f(1)\n",
    "after strings": "a = '%d' % 3\nb = '''\n%timeit\n!ls\nf?\n'''\n%timeit f(1)\n",
    "after brackets": "a = (5\n% 3)\nb = [\n'?'\n]\nf?\n",
    "after a backslash": "a = 5 \\\n% 3\n%who\n",
    "beside comments": "a = 1  # why?\n# %timeit\nb = 2  # it's\n%who\n",
}
PYTHON = {
    "percent": "a = 5 % 3\nb = '%s' % a\nc = (a\n% b)\n",
    "strings": 'a = """\n%time\n!ls\nf?\n"""\nb = "it\'s #"\nc = r"\\"\n',
    "f-strings": "a = 3\nb = f'{a!r} {a:>{a}} %time'\n",
    "semicolons": "a = 1;\nb = a; c = b;\n",
    "comparisons": "a = 1\nb = a != 2\nc = a == 1\n",
    "decorated": "@staticmethod\ndef f(*, a=1, **k) -> int: return a\n",
    "await": "import asyncio\nawait asyncio.sleep(0)\n",
    "empty": "",
    "broken": "def f(:\n  'unclosed\n",
    "form feed": "a = 1\n\x0cb = 2\n",
}


def of_ipython(cell: str) -> bool:
    return TransformerManager().transform_cell(cell).strip() != cell.strip()


@pytest.mark.parametrize("cell", COMMANDS.values(), ids=COMMANDS.keys())
def test_what_ipython_changes_becomes_python_on_the_same_lines(cell: str) -> None:
    found = as_graded(cell)
    assert of_ipython(cell)
    ast.parse(found.text)
    assert found.text.count("\n") == cell.count("\n")
    assert not of_ipython(found.text)
    assert found.remarks or "%time " in cell
    assert as_graded(found.text).text == found.text
    kept = [(a, b) for a, b in zip(cell.split("\n"), found.text.split("\n"), strict=True) if a == b]
    assert ("def f(x):", "def f(x):") in kept or "def f" not in cell


@pytest.mark.parametrize("cell", PYTHON.values(), ids=PYTHON.keys())
def test_python_stays_as_it_is(cell: str) -> None:
    assert as_graded(cell).text == cell
    assert as_graded(cell).remarks == ()
    assert not of_ipython(cell) or cell == PYTHON["broken"]


@pytest.mark.parametrize(
    "cell",
    [
        "    a = 1\n    if a:\n        b = 2\n",
        ">>> def f(x):\n...     return x\n>>> f(1)\n",
        "In [1]: a = 1\n   ...: b = 2\n",
        "\ndef f(x):\n   ...:     return x\n   ...: \n   ...: a = f(1)\n",
    ],
    ids=["indented", "prompts", "IPython's prompts", "IPython's prompts but the first"],
)
def test_what_was_pasted_runs_as_in_a_notebook(cell: str) -> None:
    expected = TransformerManager().transform_cell(cell)
    assert ast.dump(ast.parse(as_graded(cell).text)) == ast.dump(ast.parse(expected))


def test_a_docstring_with_prompts_is_left_alone() -> None:
    cell = 'def f(x):\n    """\n    >>> f(1)\n    """\n    return x\n'
    assert as_graded(cell).text == cell


@pytest.mark.parametrize("magic", ["bash", "writefile a.py", "html", "python", "script sh"])
def test_a_cell_that_is_no_python_says_so(magic: str) -> None:
    found = as_graded(f"\n%%{magic}\nls -l\n")
    assert "Line 2" in found.remarks[0]
    assert "something else than Python" in found.remarks[0]
    with pytest.raises(RuntimeError, match=re.escape(f"%%{magic}")):
        exec(found.text, {})


def test_what_a_command_would_give_is_missed_where_it_is_used() -> None:
    found = as_graded("def f():\n    x = !ls\n    return x\n")
    names: dict = {}
    exec(found.text, names)
    with pytest.raises(RuntimeError, match="Line 2, `x = !ls`, is an IPython command"):
        names["f"]()


def test_a_remark_names_line_and_command() -> None:
    (remark,) = as_graded("a = 1\n%timeit f(a)\n").remarks
    assert remark.startswith("Line 2, `%timeit f(a)`, is an IPython command; it was left out")
    assert len(as_graded("!ls\n" * 100).remarks) == 6


CHARACTERS = st.text(alphabet="%!?;,/'\"#()[]{}\\\n \t=abf>.:\r\x0c\u2028", max_size=200)


@settings(deadline=None, max_examples=400)
@given(CHARACTERS)
def test_any_text_keeps_its_lines_and_ends(cell: str) -> None:
    found = as_graded(cell)
    lines = cell.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    assert found.text.count("\n") == lines or "%%" in cell
    assert "".join(f"{one.text}\n" for one in statements(cell)) == f"{cell}\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["(", "'", "'''", "%time ", "= ", "a:", "\\\n", "for ", "def f(", "lambda ", "?", ">>> "]
)
def test_a_long_cell_takes_no_time(piece: str) -> None:
    from autograder.cells.names import Own, borrowed, import_remarks

    cell = piece * (200_000 // len(piece))
    as_graded(cell)
    import_remarks(cell, lambda name: True)
    borrowed("f", cell, [Own("there", cell)], set())
