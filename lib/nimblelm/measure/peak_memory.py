"""Peak memory of a call, from a record of every tensor that torch makes and frees in it."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class _Held(TorchDispatchMode):
    """Counts the bytes of the storages that operations return and that are still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.peak = 0
        self._known: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tree_flatten((args, kwargs or {}))[0]
        before = {id(x.untyped_storage()) for x in given if isinstance(x, torch.Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, torch.Tensor) and id(tensor.untyped_storage()) not in before | self._known.keys():
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()

        def freed(_: object) -> None:
            del self._known[key]
            self.held -= size

        self._known[key] = weakref.ref(storage, freed)
        self.held += size
        self.peak = max(self.peak, self.held)


def peak_bytes(call: Callable[[], object]) -> int:
    """The most memory that tensors made during a call held at one time, in bytes.

    What the call returns is part of it, its inputs are not. Scratch memory inside a single operation is not seen. Slows
    the call down: time it in another run.

    Chapter: book/ch04_flash_attention
    """
    with _Held() as record:
        kept = call()
    del kept
    return record.peak
