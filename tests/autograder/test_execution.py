"""A student's cell: what is wrong with it is said with the line it is on, and the limit behind it by name."""

import errno
import inspect

import pytest
import torch

from autograder.runtime.execution import Problem, find, fresh, invoke, resolve, run_cell


def problem_of(cell: str, call: str) -> str:
    """The sentence about a cell, or about calling one of its functions."""
    namespace: dict = {"torch": torch}

    def run() -> None:
        run_cell(cell, "cell", namespace)
        invoke(find(call, namespace), (1,), {}, None, None, "<cell>")

    with pytest.raises(Problem) as raised:
        run()
    assert raised.value.kind in Problem.KINDS
    return raised.value.sentence("`f`")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            "y = 1\ndef f(x:\n    return x\n",
            "cannot be read: SyntaxError: “'(' was never closed” (line 2 of your cell).",
        ),
        ("x = 1\n  y = 2\n", "The cell cannot be read: IndentationError: “unexpected indent” (line 2 of your cell)."),
        ("x = '\0'\n", "The cell cannot be read"),
        ("x = 1\nx = x / 0\n", "`f` raised ZeroDivisionError: “division by zero” (line 2 of your cell)."),
        ("def g(x):\n    return x\n", "You did not define `f`."),
        ("f = 2\n", "`f` is a int, not a function."),
        ("def f(x):\n    y = x\n    return y + 'a'\n", "(line 3 of your cell)."),
        ("def f(x):\n    return torch.ones(2) @ torch.ones(3)\n", "raised RuntimeError"),
        ("def f():\n    return 1\n", "takes 0 positional arguments but 1 was given"),
        ("def f(x):\n    raise NotImplementedError\n", "Not written yet: `f` raises NotImplementedError (line 2"),
        ("def f(x):\n    return f(x)\n", "raised RecursionError"),
        ("import sys\nsys.exit(0)\n", "`f` ended the program (SystemExit) (line 2 of your cell)"),
        ("def f(x):\n    raise MemoryError\n", "`f` raised MemoryError: “(the memory limit)” (line 2 of your cell)."),
    ],
)
def test_problems_name_the_line(cell, said):
    assert said in problem_of(cell, "f")


@pytest.mark.parametrize(
    ("number", "limit"),
    [
        (errno.EPERM, "no other processes"),
        (errno.EFBIG, "file's size"),
        (errno.ENOSPC, "/tmp"),
        (errno.EMFILE, "open files"),
    ],
)
def test_problems_name_the_limit(number, limit):
    assert limit in problem_of(f"def f(x):\n    raise OSError({number}, 'refused')\n", "f")


def test_an_exception_that_cannot_be_shown_does_no_harm():
    cell = "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\n\ndef f(x):\n    raise Odd\n"
    assert "its message cannot be shown" in problem_of(cell, "f")
    assert len(problem_of("def f(x):\n    raise ValueError('a' * 10**6)\n", "f")) < 1000


@pytest.mark.parametrize("before", ["x = 1\n\n", "x = 1\r\n\r", *(f"x = '{end}'\n" for end in "\x0c\x1c\x85\u2028")])
def test_the_source_of_a_cells_functions_can_be_read(before):
    namespace: dict = {}
    run_cell(f"{before}def f():\n    return 5\n", "exercise", namespace)
    assert inspect.getsource(namespace["f"]) == "def f():\n    return 5\n"


def test_every_run_of_many_gets_fresh_inputs():
    def spoil(x, rest):
        x += 1
        rest["y"][0] += 1
        return x

    inputs = (torch.zeros(2), {"y": [torch.zeros(1)]})
    assert invoke(spoil, inputs, {}, 3, None, "").tolist() == [[1, 1]] * 3
    assert inputs[0].sum() == inputs[1]["y"][0].sum() == 0
    assert fresh((1, [None, "a"])) == (1, [None, "a"])


def test_what_cannot_be_resolved_is_named():
    assert resolve("math:pi", {}) == pytest.approx(3.14159, abs=1e-5)
    assert resolve(":own", {"own": 3}) == 3
    for target in ("nowhere:x", "math:tau2", ":absent"):
        with pytest.raises(Problem, match="is not available here"):
            resolve(target, {})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("e = OSError()\n    e.errno = [1]\n    raise e", "raised OSError"),
        (
            "e = type('InterpreterError', (Exception,), {})()\n    e.__cause__ = e\n    raise e",
            "raised InterpreterError",
        ),
        ("e = NameError('x')\n    e.name = 'a' * 10**6\n    raise e", "define or import 'aaa"),
    ],
)
def test_an_exception_that_was_tampered_with_is_told_like_any_other(body, said):
    message = problem_of(f"def f(x):\n    {body}\n", "f")
    assert said in message
    assert len(message) < 300
