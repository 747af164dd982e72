"""What a line can take from what a function returns: `f(...).tokens`, `f(...)[0]`, `tuple(f(...))`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

MAX_ITEMS = 4

Function = Callable[..., Any]
Named = tuple[str, Function]  # a callable, and how it is reached


@dataclass(frozen=True)
class Attribute:
    name: str

    def __call__(self, result: Any) -> Any:
        return getattr(result, self.name)

    def of(self, how: str) -> str:
        return f"{how}(...).{self.name}"


@dataclass(frozen=True)
class Item:
    key: Any

    def __call__(self, result: Any) -> Any:
        return result[self.key]

    def of(self, how: str) -> str:
        return f"{how}(...)[{self.key!r}]"


@dataclass(frozen=True)
class Converted:
    kind: type

    def __call__(self, result: Any) -> Any:
        return self.kind(result)

    def of(self, how: str) -> str:
        return f"{self.kind.__name__}({how}(...))"


@dataclass(frozen=True)
class Nested:
    """A part of a part: `f(...).state.tokens`."""

    outer: "Attribute | Item"
    inner: "Attribute | Item"

    def __call__(self, result: Any) -> Any:
        return self.inner(self.outer(result))

    def of(self, how: str) -> str:
        return self.outer.of(how) + self.inner.of("").removeprefix("(...)")


Taken = Attribute | Item | Converted | Nested


def parts_of(result: Any) -> Iterator[Taken]:
    """The attributes of an object, the first and last items of what has any, and another kind of sequence of them."""
    names = getattr(result, "_fields", None) or getattr(result, "__dict__", ())
    if not isinstance(result, torch.Tensor | type) and not callable(result):
        yield from (Attribute(name) for name in names if not name.startswith("_"))
    if isinstance(result, dict):
        yield from (Item(key) for key in list(result)[:MAX_ITEMS])
    elif isinstance(result, tuple | list) or (isinstance(result, torch.Tensor) and result.ndim):
        if not hasattr(result, "_fields"):
            yield from (Item(index) for index in range(min(len(result), MAX_ITEMS)))
            yield from [Item(-1)] * (len(result) > 1)
        yield from (Converted(kind) for kind in (tuple, list) if type(result) is not kind)
    elif isinstance(result, Iterator):
        yield Converted(list)


def nested_parts_of(result: Any) -> Iterator[Taken]:
    """The parts of a result, and the parts of those that are no tensors."""
    for outer in parts_of(result):
        yield outer
        if isinstance(outer, Attribute | Item) and not isinstance(value := outer(result), torch.Tensor):
            yield from (Nested(outer, inner) for inner in parts_of(value) if isinstance(inner, Attribute | Item))


class Noted:
    """Calls a function, and remembers the first thing that it returned."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.returned = function, []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.function(*args, **kwargs)
        if not self.returned:
            self.returned.append(result)
        return result

    def parts(self) -> list[Taken]:
        return [part for result in self.returned for part in nested_parts_of(result)]


@dataclass(frozen=True)
class Part:
    """Calls a function and returns a part of what it returns."""

    function: Callable[..., Any]
    part: Taken

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.part(self.function(*args, **kwargs))
