"""Run a student's cell and functions, and say plainly what went wrong.

The worker uses this in the sandbox, the notebook's visible checks use it in process, so both say the same.
"""

import ast
import asyncio
import errno
import importlib
import inspect
import linecache
import random
import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import numpy as np
import torch

from autograder.runtime.student_builtins import student_builtins
from autograder.wire.text import python_lines, quoted

MAX_MESSAGE = 600  # characters of an exception's own message
MAX_NAME = 60  # characters of an unknown name
MAX_CAUSES = 100  # of one exception, which may be its own
PADDING = -1  # fills up the shorter of 1-D integer results of different length


class Problem(Exception):
    """What went wrong in a student's code.

    Args:
        kind: one of KINDS.
        type: the exception's type name, where there is one; of "missing", the type of what is there instead.
        message: its message.
        line: the line of the cell, counted from 1, where it is known.
    """

    KINDS = ("missing", "syntax", "not_written", "raised", "ended", "result")

    def __init__(self, kind: str, type: str, message: str, line: int | None = None) -> None:
        super().__init__(kind, type, message, line)
        self.kind, self.type, self.message, self.line = kind, type, message, line

    @property
    def raised(self) -> str:
        """The type of the exception that the code raised; empty where it raised none."""
        return self.type if self.kind == "raised" else ""

    def sentence(self, who: str) -> str:
        """What a student reads; `who` is the function or cell, such as "`accept`"."""
        where = f" (line {self.line} of your cell)" if self.line else ""
        said = f": {quoted(self.message)}" if self.message else ""
        if self.kind == "missing":
            return f"{who} is a {self.type}, not a function." if self.type else f"You did not define {who}."
        if self.kind == "not_written":
            return f"Not written yet: {who} raises NotImplementedError{where}."
        if self.kind == "syntax":
            return f"The cell cannot be read: {self.type}{said}{where}."
        if self.kind == "ended":
            return f"{who} ended the program ({self.type}){where}; it should return or raise an error."
        if self.kind == "result":
            return f"The result of {who} cannot be used{said}."
        return f"{who} raised {self.type}{said}{where}."


def run_cell(source: str, name: str, namespace: dict[str, Any]) -> None:
    """Execute a cell in a namespace; its lines stay readable to tracebacks and to `inspect`.

    As in a notebook it may `await`. Unless the namespace has built-in names of its own they are a student's.

    Raises:
        Problem: it cannot be compiled, or it raised.
    """
    filename = f"<{name}>"
    lines = [f"{line}\n" for line in python_lines(source)]
    linecache.cache[filename] = (len(source), None, lines, filename)
    try:
        code = compile(source, filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        raise Problem("syntax", type(error).__name__, error.msg, error.lineno) from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise Problem("syntax", type(error).__name__, _message(error)) from None
    namespace.setdefault("__builtins__", student_builtins())
    try:
        if code.co_flags & inspect.CO_COROUTINE:
            _wait_for(eval(code, namespace))
        else:
            exec(code, namespace)
    except BaseException as error:
        raise describe(error, filename) from None


def _wait_for(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine to its end, also within a notebook, whose own loop waits for us meanwhile."""
    outer, loop = asyncio._get_running_loop(), asyncio.new_event_loop()
    asyncio._set_running_loop(None)
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()
        asyncio._set_running_loop(outer)


def find(name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
    """A function that the cell should define.

    Raises:
        Problem: there is none of that name, or it cannot be called.
    """
    if name not in namespace:
        raise Problem("missing", "", "")
    if not callable(namespace[name]):
        raise Problem("missing", type(namespace[name]).__name__, "")
    return namespace[name]


def invoke(
    function: Callable[..., Any], args: tuple, kwargs: dict, repeat: int | None, part: Any, filename: str
) -> Any:
    """Call a student's function, once or `repeat` times with fresh copies of its inputs and the results stacked.

    Args:
        part: the field, key or index of each result that is wanted; None for all of it.

    Raises:
        Problem: it raised, or the results of the runs do not stack.
    """
    try:
        if repeat is None:
            return function(*args, **kwargs)
        results = [_part(function(*fresh(args), **fresh(kwargs)), part) for _ in range(repeat)]
    except BaseException as error:
        raise describe(error, filename) from None
    try:
        return stack(results)
    except ValueError as error:
        raise Problem("result", "", str(error)) from None


def _part(result: Any, part: Any) -> Any:
    if part is None:
        return result
    if isinstance(part, str) and not isinstance(result, dict):
        if not hasattr(result, part):
            raise Problem("result", "", f"a {type(result).__name__} has no `{part}`")
        return getattr(result, part)
    try:
        return result[part]
    except (KeyError, IndexError, TypeError):
        raise Problem("result", "", f"a {type(result).__name__} has no item {part!r}") from None


def describe(error: BaseException, filename: str) -> Problem:
    """An exception in a student's code, with the last line of the cell on its way."""
    if isinstance(error, Problem):
        return error
    for _ in range(MAX_CAUSES):
        if type(error).__name__ != "InterpreterError" or not error.__cause__:  # Triton's, around what a kernel raised
            break
        error = error.__cause__
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    line = lines[-1] if lines else None
    if isinstance(error, NotImplementedError):
        return Problem("not_written", type(error).__name__, _message(error), line)
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return Problem("ended", type(error).__name__, _message(error), line)
    message = _message(error)
    known = _limit_behind(error, message) or _unknown_name(error)
    return Problem("raised", type(error).__name__, f"{message} {known}".strip(), line)


def _unknown_name(error: BaseException) -> str:
    """What a name that is not there most likely means: a cell that works where others ran before it."""
    if type(error) is not NameError or not isinstance(error.name, str):
        return ""
    return f"(each exercise is graded from its own cell alone: define or import {error.name[:MAX_NAME]!r} in it)"


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be shown)"
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + " ..."


def _limit_behind(error: BaseException, text: str) -> str:
    """Names the limit of the sandbox that an exception most likely comes from."""
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "Cannot allocate memory" in text:
        return "(the memory limit)"
    if "can't start new thread" in text:
        return "(the memory limit, or that on threads)"
    known = {
        errno.EPERM: "(the sandbox allows no other processes, no programs and no network)",
        errno.EFBIG: "(the limit on a file's size)",
        errno.ENOSPC: "(the limit on the size of /tmp)",
        errno.EMFILE: "(the limit on open files)",
        errno.EROFS: "(only /tmp can be written)",
    }
    number = error.errno if isinstance(error, OSError) else None
    return known.get(number, "") if isinstance(number, int) else ""


def resolve(target: str, setup: Mapping[str, Any]) -> Any:
    """The object behind "module:attribute", or behind ":name" in the task's setup.

    Raises:
        Problem: there is none.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute) if module else setup[attribute]
    except (ImportError, AttributeError, KeyError) as error:
        raise Problem("result", type(error).__name__, f"{target!r} is not available here: {_message(error)}") from None


def seed_everything(seed: int) -> None:
    """Make code that draws from global generators give the same again."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed takes 150 us
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (students may draw from it)


def fresh(value: Any) -> Any:
    """A copy of a value with its own tensors and containers; generators and callables are shared."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: fresh(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(fresh(item) for item in value)
    return value


def stack(results: list[Any]) -> Any:
    """Results of many runs as one: numbers become 1-D tensors, tensors get a first dimension, containers go by item.

    1-D integer tensors of different lengths are padded at their ends with -1.

    Raises:
        ValueError: they differ from run to run in another way, or cannot be stacked.
    """
    kinds = {type(result) for result in results}
    if len(kinds) != 1:
        raise ValueError(
            f"it returned different types in different runs: {', '.join(sorted(k.__name__ for k in kinds))}"
        )
    first = results[0]
    if first is None:
        return None
    if isinstance(first, bool | int | float | np.generic):
        return torch.tensor([result if isinstance(result, bool | int | float) else result.item() for result in results],
                            dtype=_dtype_of(first))  # fmt: skip
    if isinstance(first, torch.Tensor):
        return _stack_tensors(results)
    if hasattr(first, "__dataclass_fields__"):
        return {name: stack([getattr(result, name) for result in results]) for name in first.__dataclass_fields__}
    if isinstance(first, tuple) and (names := getattr(first, "_fields", None)):
        return {name: stack([getattr(result, name) for result in results]) for name in names}
    if isinstance(first, dict):
        if len({tuple(sorted(map(str, result))) for result in results}) != 1:
            raise ValueError("it returned dicts with different keys in different runs")
        return {key: stack([result[key] for result in results]) for key in first}
    if isinstance(first, list | tuple):
        if len({len(result) for result in results}) != 1:
            raise ValueError("it returned lists of different lengths in different runs")
        return type(first)(stack(list(items)) for items in zip(*results, strict=True))
    raise ValueError(f"it returned a {type(first).__name__}")


def _dtype_of(number: Any) -> torch.dtype:
    if isinstance(number, bool | np.bool_):
        return torch.bool
    return torch.int64 if isinstance(number, int | np.integer) else torch.float64


def _stack_tensors(results: list[torch.Tensor]) -> torch.Tensor:
    shapes, dtypes = {tuple(result.shape) for result in results}, {result.dtype for result in results}
    if len(dtypes) != 1:
        raise ValueError(f"it returned different dtypes in different runs: {sorted(map(str, dtypes))}")
    if len(shapes) != 1 and not (results[0].dtype == torch.int64 and all(len(shape) == 1 for shape in shapes)):
        raise ValueError(f"it returned different shapes in different runs, such as {sorted(shapes)[:2]}")
    plain = [result.detach().cpu() for result in results]
    if len(shapes) == 1:
        return torch.stack(plain)
    return torch.nn.utils.rnn.pad_sequence(plain, batch_first=True, padding_value=PADDING)
