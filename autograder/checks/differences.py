"""Where two results differ first: what a message shows of them in the place of all that they hold."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

MAX_WHOLE = 8  # numbers: as many are shown as they are


class Shape:
    """A shape with the names of its dimensions; None is any size."""

    def __init__(self, sizes: Sequence[int | None], names: str = "") -> None:
        self._sizes, self._names = tuple(sizes), names.split()

    def __repr__(self) -> str:
        names = self._names if len(self._names) == len(self._sizes) else [""] * len(self._sizes)
        sizes = ["any" if size is None else str(size) for size in self._sizes]
        parts = [f"{name}={size}" if name else size for name, size in zip(names, sizes, strict=True)]
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def first_wrong(got: Tensor, want: Tensor, wrong: Tensor) -> dict[str, Any]:
    """The place of the first wrong number of a tensor, and what stands there; a short row is shown whole."""
    if wrong.numel() == 1:
        return {"got": got, "want": want}
    place = _unravel(int(wrong.flatten().to(torch.uint8).argmax()), wrong.shape)
    if wrong.ndim == 1 and len(wrong) <= MAX_WHOLE:
        return {"at": place, "got": got, "want": want}
    return {"at": place, "got": got[tuple(place)], "want": want[tuple(place)]}


def first_difference(got: Any, want: Any, same: Any) -> dict[str, Any]:
    """The place of the first item in which lists or tuples differ, and what stands there; else the two as they are."""
    place: list[int] = []
    while isinstance(got, list | tuple) and type(got) is type(want):
        number = next((i for i, (a, b) in enumerate(zip(got, want, strict=False)) if not same(a, b)), None)
        if number is None:
            number = min(len(got), len(want))
            place.append(number)
            got, want = ("nothing" if number >= len(one) else one[number] for one in (got, want))
            break
        place.append(number)
        got, want = got[number], want[number]
    return {"at": place, "got": got, "want": want} if place else {"got": got, "want": want}


def _unravel(index: int, shape: Sequence[int]) -> list[int]:
    place = []
    for size in reversed(shape):
        place.append(index % size)
        index //= size
    return place[::-1]


def known_mistake(got: Tensor, mistakes: Mapping[str, Tensor], atol: float = 1e-4) -> str:
    """What a wrong result says of how it came about: the first of the mistakes that gives it, "" where none does."""
    for text, value in mistakes.items():
        if got.shape == value.shape and torch.allclose(got.double(), value.double(), atol=atol):
            return text
    return ""
