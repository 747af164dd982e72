"""Inputs that the tests of flash attention share, and what they must give."""

from dataclasses import dataclass

import torch

from nimblelm.kernels.flash_attention.reference import attention, attention_gradients


@dataclass(frozen=True)
class Case:
    """A shape: lengths off every tile, more queries than keys or fewer, heads that share keys."""

    num_queries: int
    num_keys: int
    num_heads: int = 2
    group: int = 1  # query heads to a key-value head
    head_dim: int = 32
    causal: bool = False
    batch: int = 1
    dtype: torch.dtype = torch.float32

    def __str__(self):
        mask = "causal" if self.causal else "full"
        heads = f"{self.num_heads}heads-group{self.group}-d{self.head_dim}"
        return f"{mask}-{self.num_queries}x{self.num_keys}-{heads}-{str(self.dtype)[6:]}"

    def tensors(self, device="cpu"):
        """(q, k, v, dout), rounded to the dtype; dlse is not among them."""
        generator = torch.Generator().manual_seed(self.num_queries + 1000 * self.num_keys)
        kv_heads = self.num_heads // self.group
        shapes = [
            (self.num_queries, self.num_heads),
            *[(self.num_keys, kv_heads)] * 2,
            (self.num_queries, self.num_heads),
        ]
        tensors = (torch.randn(self.batch, *shape, self.head_dim, generator=generator) for shape in shapes)
        return [x.to(device, self.dtype) for x in tensors]


def exact(case: Case, tensors, scale=None):
    """(out, lse, dq, dk, dv) in float64."""
    q, k, v, dout = tensors
    results = attention(q, k, v, case.causal, scale)
    return *results, *attention_gradients(q, k, v, dout, case.causal, scale)


def eager(case: Case, tensors, scale=None):
    """(out, dq, dk, dv) by the formula as one would write it in torch, every intermediate in the inputs' dtype."""
    q, k, v, dout = (x.detach().clone() for x in tensors)
    inputs = [x.requires_grad_() for x in (q, k, v)]
    q, k, v = (x.transpose(1, 2) for x in inputs)  # (B, H, S, D)
    k, v = (x.repeat_interleave(case.group, dim=1) for x in (k, v))
    scores = q @ k.mT * (case.head_dim**-0.5 if scale is None else scale)
    if case.causal:
        mask = torch.ones(case.num_queries, case.num_keys, dtype=torch.bool, device=q.device)
        scores = scores.masked_fill(~mask.tril(case.num_keys - case.num_queries), float("-inf"))
    out = (scores.softmax(-1).nan_to_num() @ v).transpose(1, 2)
    return out, *torch.autograd.grad(out, inputs, dout)


def assert_lse_close(lse, exact_lse, atol: float):
    """Equal infinities, and close where finite."""
    assert torch.equal(lse.isinf(), exact_lse.isinf())
    finite = exact_lse.isfinite()
    torch.testing.assert_close(lse[finite].double(), exact_lse[finite], atol=atol, rtol=1e-5)
