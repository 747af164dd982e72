import os

os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton is imported: kernels run on the CPU

import torch
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


def chain(attend, q, k, v, times):
    """Attention again and again, causal: each output turns the next query, so that no step can be left out."""
    x = q.float()
    for step in range(times):
        unit = x * torch.rsqrt(x.square().mean(-1, keepdim=True))
        out = attend(unit.roll(step, -1).to(q.dtype), k, v).float()
        x = x + out * torch.rsqrt(out.square().mean(-1, keepdim=True))
    return x.to(q.dtype)


def fast_chain(q, k, v, times):
    return chain(lambda *qkv: fast_attention(*qkv, True), q, k, v, times)  # type: ignore[name-defined]  the student's


def naive_chain(q, k, v, times):
    """All scores in memory."""
    hidden = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool, device=q.device).triu(1)

    def attend(q, k, v):
        scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(hidden, float("-inf"))
        return scores.softmax(-1) @ v

    return chain(attend, q, k, v, times)


def sdpa_chain(q, k, v, times):
    """torch's own attention, by the backend that is FlashAttention-2."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def attend(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]

    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return chain(attend, q, k, v, times)
