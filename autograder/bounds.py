"""Kernels in Triton's interpreter reach the tensors of their launch and nothing else.

There a pointer is an address of this process: a kernel that follows one out of its tensors could read and change all of
Python. What lies elsewhere counts as masked.
"""

from typing import Any

import torch


def bound_kernels() -> None:
    """From now on every load, store and atomic operation of an interpreted kernel stays within its launch's tensors."""
    from triton.runtime import interpreter

    builder: Any = interpreter.InterpreterBuilder
    executor: Any = interpreter.GridExecutor
    begin = executor._init_args_hst
    load, store = builder.create_masked_load, builder.create_masked_store
    change, swap = builder.create_atomic_rmw, builder.create_atomic_cas
    given: list[tuple[int, int]] = []  # first address and the one behind the last, of each tensor of the launch

    def begun(self: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = begin(self, args, kwargs)
        found = [getattr(one, "base", one) for one in (*args, *kwargs.values())]  # of a descriptor: its tensor
        held = [one.untyped_storage() for one in found if isinstance(one, torch.Tensor)]
        given[:] = [(memory.data_ptr(), memory.data_ptr() + memory.nbytes()) for memory in held]
        return args, kwargs

    def inside(places: Any) -> Any:
        size = max(places.get_element_ty().primitive_bitwidth // 8, 1)
        return sum((places.data >= low) & (places.data + size <= high) for low, high in given) > 0

    def masked(places: Any, mask: Any) -> Any:
        return interpreter.TensorHandle(mask.data & inside(places), mask.dtype)

    def bounded_load(self: Any, places: Any, mask: Any, *rest: Any) -> Any:
        return load(self, places, masked(places, mask), *rest)

    def bounded_store(self: Any, places: Any, value: Any, mask: Any, *rest: Any) -> Any:
        return store(self, places, value, masked(places, mask), *rest)

    def bounded_change(self: Any, how: Any, places: Any, value: Any, mask: Any, *rest: Any) -> Any:
        return change(self, how, places, value, masked(places, mask), *rest)

    def bounded_swap(self: Any, places: Any, *rest: Any) -> Any:
        if not inside(places).all():
            raise IndexError("tl.atomic_cas outside of the tensors that were given")
        return swap(self, places, *rest)

    executor._init_args_hst = begun
    builder.create_masked_load, builder.create_masked_store = bounded_load, bounded_store
    builder.create_atomic_rmw, builder.create_atomic_cas = bounded_change, bounded_swap
