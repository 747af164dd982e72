import contextlib
import os

os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton is imported: kernels run on the CPU

import torch

with contextlib.suppress(ImportError):  # there is none but for Linux, and one exercise alone needs it
    import triton
    import triton.language as tl


class NoKernel:
    """Stands in a kernel's place and does nothing when it is launched."""

    def __getitem__(self, grid):
        return lambda *args, **options: None


class ByHand(torch.Tensor):
    """A tensor that is not for autograd, and neither is what is computed from it."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (cls.requires_grad_, cls.requires_grad.__set__, cls.backward, torch.autograd.grad):  # type: ignore[attr-defined]
            raise RuntimeError("no autograd here: write the products down")
        return super().__torch_function__(function, types, args, kwargs or {})


def by_hand(x):
    return x.clone().as_subclass(ByHand)
