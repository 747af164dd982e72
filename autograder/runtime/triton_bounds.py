"""Kernels in Triton's interpreter reach the tensors of their launch and nothing else.

There a pointer is an address of this process: a kernel that follows one out of its tensors could read and change all of
Python. On a GPU it would read what happens to lie there, or break; here it is an error. The rule stands where addresses
are followed, in front of the four functions in C++ behind each load, store and atomic operation. They believe what they
are told of arrays: of one with gaps they take what lies in the gaps, and of a narrow one more than there is.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


@cache  # once is enough
def bound_kernels() -> None:
    """From now on every load, store and atomic operation of an interpreted kernel stays within its launch's tensors."""
    from triton.runtime import interpreter

    executor: Any = interpreter.GridExecutor
    begin, free = executor._init_args_hst, interpreter._interpreter
    given: list[tuple[int, int]] = []  # first address and the one behind the last, of each tensor of the launch

    def begun(self: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = begin(self, args, kwargs)
        found = [getattr(one, "base", one) for one in (*args, *kwargs.values())]  # of a descriptor: its tensor
        given[:] = [_extent(one) for one in found if isinstance(one, torch.Tensor)]
        return args, kwargs

    def led(what: str, places: Any, size: int, mask: Any = True) -> tuple[Any, Any]:
        """Addresses, each of so many bytes, and their mask."""
        places = _whole(places, np.uint64)
        mask = np.array(np.broadcast_to(mask, places.shape), bool)
        if np.any(mask & ~sum(((places >= low) & (places <= high - size) for low, high in given), np.False_)):
            raise IndexError(f"tl.{what} outside of the tensors that the kernel was given: mask what does not exist")
        return places, mask

    def load(places: Any, mask: Any, other: Any, dtype: Any) -> Any:
        return free.load(*led("load", places, dtype.itemsize, mask), _whole(other, dtype), dtype)

    def store(places: Any, value: Any, mask: Any) -> Any:
        value = _whole(value)
        places, mask = led("store", places, value.itemsize, mask)
        return free.store(places, value, mask)

    def change(how: Any, places: Any, value: Any, mask: Any, order: Any) -> Any:
        value = _whole(value)
        places, mask = led(f"atomic_{how.name.lower()}", places, value.itemsize, mask)
        return free.atomic_rmw(how, places, value, mask, order)

    def swap(places: Any, expected: Any, value: Any, order: Any) -> Any:
        expected = _whole(expected)
        places, _ = led("atomic_cas", places, expected.itemsize)
        return free.atomic_cas(places, expected, _whole(value, expected.dtype), order)

    executor._init_args_hst = begun
    interpreter._interpreter = SimpleNamespace(load=load, store=store, atomic_rmw=change, atomic_cas=swap)


def _whole(array: Any, dtype: Any = None) -> Any:
    """A copy without gaps: what was looked at is what is used."""
    return np.array(array, dtype=dtype, order="C")


def _extent(tensor: torch.Tensor) -> tuple[int, int]:
    """The address of a tensor's first number and the one behind its last."""
    steps = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (steps + 1) * tensor.itemsize * bool(tensor.numel())
