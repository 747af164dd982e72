"""Kernels in Triton's interpreter reach the tensors of their launch and nothing else.

There a pointer is an address of this process: a kernel that follows one out of its tensors could read and change all of
Python. What lies elsewhere counts as masked. The rule stands where addresses are followed, in front of the four
functions in C++ behind each load, store and atomic operation. They believe what they are told of arrays: of one with
gaps they take what lies in the gaps, and of a narrow one more than there is.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


def bound_kernels() -> None:
    """From now on every load, store and atomic operation of an interpreted kernel stays within its launch's tensors."""
    from triton.runtime import interpreter

    executor: Any = interpreter.GridExecutor
    begin, free = executor._init_args_hst, interpreter._interpreter
    given: list[tuple[int, int]] = []  # first address and the one behind the last, of each tensor of the launch

    def begun(self: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = begin(self, args, kwargs)
        found = [getattr(one, "base", one) for one in (*args, *kwargs.values())]  # of a descriptor: its tensor
        held = [one.untyped_storage() for one in found if isinstance(one, torch.Tensor)]
        given[:] = [(memory.data_ptr(), memory.data_ptr() + memory.nbytes()) for memory in held]
        return args, kwargs

    def inside(places: Any, size: int) -> Any:
        """Which addresses may be followed for so many bytes."""
        return sum((places >= low) & (places <= high - size) for low, high in given) > 0

    def load(places: Any, mask: Any, other: Any, dtype: Any) -> Any:
        places = _whole(places, np.uint64)
        open_to_us = _whole(mask, bool) & inside(places, dtype.itemsize)
        return free.load(places, open_to_us, _whole(other, dtype), dtype)

    def store(places: Any, value: Any, mask: Any) -> Any:
        places, value = _whole(places, np.uint64), _whole(value)
        return free.store(places, value, _whole(mask, bool) & inside(places, value.itemsize))

    def change(how: Any, places: Any, value: Any, mask: Any, order: Any) -> Any:
        places, value = _whole(places, np.uint64), _whole(value)
        return free.atomic_rmw(how, places, value, _whole(mask, bool) & inside(places, value.itemsize), order)

    def swap(places: Any, expected: Any, value: Any, order: Any) -> Any:
        places, expected = _whole(places, np.uint64), _whole(expected)
        if not np.all(inside(places, expected.itemsize)):
            raise IndexError("tl.atomic_cas outside of the tensors that were given")
        return free.atomic_cas(places, expected, _whole(value, expected.dtype), order)

    executor._init_args_hst = begun
    interpreter._interpreter = SimpleNamespace(load=load, store=store, atomic_rmw=change, atomic_cas=swap)


def _whole(array: Any, dtype: Any = None) -> Any:
    """A copy without gaps: what was looked at is what is used."""
    return np.array(array, dtype=dtype, order="C")
