"""What a line or two of a student's own makes of a pasted function whose arguments or results have another form."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

import torch

from tests.solutions.parts import Function, Named

MAX_RECORD = 3


class Adapter:
    """Calls a pasted function otherwise than it is called."""

    def takes(self, count: int) -> bool:
        raise NotImplementedError


def takes(function: Any, count: int) -> bool:
    """Whether something can be called with so many arguments by position."""
    if isinstance(function, Adapter):
        return function.takes(count)
    if getattr(function, "arg_names", None):  # of a Triton kernel
        return False
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def adapters(name: str, function: Any, kinds: list[type]) -> Iterator[Named]:
    """A function with other forms of its arguments and results.

    Arguments in a record, with a dimension more or with the last one appended; results at most the last argument, or
    what it changes.
    """
    for kind in kinds:
        for count in range(1, MAX_RECORD + 1):
            if takes(kind, count) and len(members(kind)) >= count:
                yield f"{name} of the last {count} in {kind.__name__}", Recorded(function, kind, count, last=True)
                yield f"{name} of the first {count} in {kind.__name__}", Recorded(function, kind, count, last=False)
    for axes in Lifted.KNOWN:
        yield f"{name} with {len(axes)} more dimensions", Lifted(function, axes)
    yield f"{name} with the last appended", Appended(function)
    yield f"{name}, at most the last", Limited(function)
    yield f"what {name} changes", Changed(function)


def members(kind: type) -> tuple[str, ...]:
    """The names of what a record holds; none of another class."""
    named = tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
    return getattr(kind, "_fields", named)


@dataclass(frozen=True)
class Recorded(Adapter):
    """`f(a, b, Record(c, d))` or `f(Record(a, b), c, d)`."""

    function: Function
    kind: type
    count: int
    last: bool

    def __call__(self, *args: Any) -> Any:
        if self.last:
            return self.function(*args[: -self.count], self.kind(*args[-self.count :]))
        return self.function(self.kind(*args[: self.count]), *args[self.count :])

    def takes(self, count: int) -> bool:
        return count >= self.count and takes(self.function, count - self.count + 1)


@dataclass(frozen=True)
class Lifted(Adapter):
    """`f(x[None], ...)[0]`: tensors of as many dimensions as the first get more, and results lose them.

    A tensor of one dimension less, such as a log-sum-exp for each row, gets as many at the front.
    """

    KNOWN: ClassVar = ((0,), (0, 2))

    function: Function
    axes: tuple[int, ...]

    def __call__(self, *args: Any) -> Any:
        dims = next(x.ndim for x in args if isinstance(x, torch.Tensor))
        result = self.function(*(self._more(x, dims) if isinstance(x, torch.Tensor) else x for x in args))
        return tuple(self._fewer(x) for x in result) if isinstance(result, tuple) else self._fewer(result)

    def _more(self, x: torch.Tensor, dims: int) -> torch.Tensor:
        if x.ndim == dims - 1 and len(self.axes) > 1:
            return x[(None,) * len(self.axes)]
        for axis in self.axes if x.ndim == dims else ():
            x = x.unsqueeze(axis)
        return x

    def _fewer(self, x: torch.Tensor) -> torch.Tensor:
        for axis in reversed(self.axes):
            x = x.squeeze(axis)
        return x

    def takes(self, count: int) -> bool:
        return takes(self.function, count)


@dataclass(frozen=True)
class WithoutLast(Adapter):
    """Calls a function without the last argument, which plays a part before or after."""

    function: Function

    def takes(self, count: int) -> bool:
        return count > 1 and takes(self.function, count - 1)


class Appended(WithoutLast):
    """`f(cat([x, zeros]), cat([y, last[None]]))`: the last argument is one more part of those before it.

    Tensors whose parts have its shape get it; those whose parts have dimensions more get zeros beside it.
    """

    def __call__(self, *args: Any) -> Any:
        *others, last = args
        return self.function(*(self._longer(x, last) for x in others))

    def _longer(self, x: Any, last: Any) -> Any:
        if not isinstance(x, torch.Tensor) or not isinstance(last, torch.Tensor) or x.ndim <= last.ndim:
            return x
        if x.shape[1 : 1 + last.ndim] != last.shape:
            return x
        part = last[None].to(x.dtype) if x.ndim == last.ndim + 1 else torch.zeros_like(x[:1])
        return torch.cat([x, part])


class Limited(WithoutLast):
    """`minimum(f(x, y), last)`, for numbers and for tensors."""

    def __call__(self, *args: Any) -> Any:
        *others, last = args
        result = self.function(*others)
        if last is None:
            return result
        if isinstance(result, torch.Tensor):
            return torch.minimum(result, torch.as_tensor(last, dtype=result.dtype))
        return min(result, last)


@dataclass(frozen=True)
class Changed(Adapter):
    """`f((a, b), c); return a, b`: what was put into a tuple has been changed in place."""

    function: Function

    def __call__(self, *args: Any) -> Any:
        self.function(args[:2], *args[2:])
        return args[:2]

    def takes(self, count: int) -> bool:
        return count > 1 and takes(self.function, count - 1)
