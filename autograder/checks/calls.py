"""How a check reaches the student's functions: one interface, in process here and across to a worker in `remote`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch

from autograder.checks.expect import CheckFailed
from autograder.runtime.execution import Problem, find, invoke, resolve
from autograder.wire.text import one_line
from autograder.wire.values import Callback, Copies, ProtocolError, Remote, Seed, pack, unpack

OF_ANY_INPUT = ("NameError", "ImportError", "ModuleNotFoundError")  # it is no input's fault
MAX_INPUT, MAX_CALL = 80, 300  # characters


class OwnTimeUp(RuntimeError):
    """The judge spent more of its own time on a check than any honest code makes it spend."""


class Call:
    """How a check reaches the student's functions.

    `answered` tells whether one of them has returned in this check, `returned` which one and what kind of thing.
    """

    def __init__(self) -> None:
        self.answered = False
        self.returned = ""
        self._failure: CheckFailed | None = None  # of a callback, in the midst of a call

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """The result of one call; raises CheckFailed where there is none."""
        with _call_named(name, args, kwargs):
            return self._noted(name, self._request(name, args, kwargs, None, None))

    def many(self, name: str, n: int, *args: Any, part: str | int | None = None, **kwargs: Any) -> Any:
        """The stacked results of n runs in one request, each on fresh copies of the inputs.

        Args:
            part: the field, key or index of each result that is wanted; None for all of it.
        """
        with _call_named(name, args, kwargs):
            result = self._noted(name, self._request(name, args, kwargs, n, part))
        if not _all_of_length(result, n):
            raise CheckFailed(f"The {n} results of `{name}` do not stack into tensors.")
        return result

    def forget(self) -> None:
        """Whatever the student's functions have kept is gone; here, in their own process, it stays."""

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        raise NotImplementedError

    def _noted(self, name: str, result: Any) -> Any:
        self.answered = True
        self.returned = f"`{name}` returned {'None' if result is None else 'a ' + type(result).__name__}"
        return result

    def _answer(self, callback: Callback, args: list[Any]) -> Any:
        """What a callback gives; raises RuntimeError with a message for the student's code."""
        try:
            if self._failure is not None:
                raise self._failure
            return callback.function(*args)
        except CheckFailed as failure:
            self._failure = self._failure or failure
            raise RuntimeError("the check has failed") from None
        except OwnTimeUp:
            raise
        except Exception as error:
            raise RuntimeError(f"{type(error).__name__}: {error}") from None

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


@contextmanager
def _call_named(name: str, args: tuple, kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Where the student's code raises an exception in here, say which call led to it."""
    try:
        yield
    except CheckFailed as failure:
        if not failure.raised or failure.raised in OF_ANY_INPUT:
            raise
        inputs = [*map(_shown, args), *(f"{key}={_shown(value)}" for key, value in kwargs.items())]
        call = f"{name}({', '.join(inputs)})"
        raise CheckFailed(f"{failure} The call was `{call[:MAX_CALL]}`.", failure.raised) from None


def _shown(value: Any) -> str:
    """An input of ours in a sentence: numbers and short lists as they are, a tensor by its shape, wherever it lies."""
    if isinstance(value, torch.Tensor):
        return f"a tensor {tuple(value.shape)}" if value.ndim else f"tensor({value.item():.4g})"
    if isinstance(value, Remote) and len(value.args) == 1 and isinstance(value.args[0], torch.Tensor):
        return _shown(value.args[0])  # made of a tensor, and like one
    if isinstance(value, Callback | Remote | Seed):
        return {Callback: "a function", Remote: "a model", Seed: "a generator"}[type(value)]
    if isinstance(value, dict):
        text = ", ".join(f"{key!r}: {_shown(item)}" for key, item in islice(value.items(), MAX_INPUT))
        text = f"{{{text}}}"
    elif isinstance(value, list | tuple):
        text = ", ".join(_shown(item) for item in value[:MAX_INPUT])
        text = f"[{text}]" if isinstance(value, list) else f"({text}{',' * (len(value) == 1)})"
    else:
        text = " ".join(repr(value).split())
    return text if len(text) <= MAX_INPUT else f"{text[:MAX_INPUT]} ..."


def _all_of_length(value: Any, n: int) -> bool:
    if isinstance(value, dict):
        return all(_all_of_length(item, n) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_all_of_length(item, n) for item in value)
    return value is None or (isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == n)


class LocalCall(Call):
    """Calls functions of this process; values are copied on their way as they are between judge and worker.

    Args:
        functions: the student's functions by name, and whatever ":name" Remotes ask for.
    """

    def __init__(self, functions: Mapping[str, Any]) -> None:
        super().__init__()
        self._functions = functions

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        try:
            function = find(name, self._functions)
            inputs, keywords = _across((list(args), kwargs), self._stand_in)
            filename = getattr(getattr(function, "__code__", None), "co_filename", "")
            result = invoke(function, tuple(inputs), keywords, repeat, part, filename)
        except Problem as problem:
            self._raise_failure()
            raise CheckFailed(problem.sentence(f"`{name}`"), problem.raised) from None
        except (ValueError, ProtocolError) as error:
            raise CheckFailed(f"The result of `{name}` cannot be used: {error}.") from None
        finally:
            self._raise_failure()
        try:
            return _across(result)
        except Exception as error:  # whatever it is, such as a tensor without numbers
            raise CheckFailed(f"The result of `{name}` cannot be used: {one_line(str(error), MAX_CALL)}.") from None

    def _stand_in(self, special: Any) -> Any:
        if isinstance(special, Seed):
            return torch.Generator().manual_seed(special.value)
        if isinstance(special, Remote):
            return resolve(special.target, self._functions)(*special.args, **special.kwargs)
        return lambda *args: _across(self._answer(special, _across(list(args))))


def _across(value: Any, stand_in: Callable[[Any], Any] | None = None) -> Any:
    """A value as it comes out on the other side."""
    objects: list[Any] = []

    def note(special: Any) -> dict[str, int]:
        assert stand_in is not None
        objects.append(stand_in(special))
        return {"object": len(objects) - 1}

    copies = Copies()
    tree = pack(value, copies, note if stand_in else None)
    return unpack(tree, copies, (lambda _, index: objects[index]) if stand_in else None)
