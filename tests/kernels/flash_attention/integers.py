"""Attention in whole numbers: nothing is rounded, so one product that wgmma got wrong is one result that differs.

A program of its own: TRITON_PTXAS_PATH chooses the assembler before Triton starts (triton-lang/triton#9433).
"""

import torch

from nimblelm.kernels.flash_attention.launch import triton_flash_attention

BATCH, LENGTH, HEADS = 4, 2048, 16


def uniform_weights_count_exactly(head_dim: int, dtype: torch.dtype) -> None:
    """Scores of 0: the output is the mean of integers over a power of two, and so is dV."""
    shape = (BATCH, LENGTH, HEADS, head_dim)
    q = torch.zeros(shape, device="cuda", dtype=dtype)
    k = torch.randn(shape, device="cuda").to(dtype)
    v, dout = (torch.randint(-8, 9, shape, device="cuda").to(dtype) for _ in range(2))
    v.requires_grad_()
    out, _ = triton_flash_attention(q, k, v)
    assert torch.equal(out, (v.double().mean(1, keepdim=True)).to(dtype).expand(shape))
    (dv,) = torch.autograd.grad(out, v, dout)
    assert torch.equal(dv, (dout.double().mean(1, keepdim=True)).to(dtype).expand(shape))


def sharp_weights_pick_exactly(head_dim: int, causal: bool, dtype: torch.dtype) -> None:
    """Queries are 64 times one key's code of signs: all other probabilities are 0, the output is that key's value."""
    codes = torch.randint(0, 2, (LENGTH, head_dim), device="cuda").to(dtype) * 2 - 1
    products = codes.float() @ codes.float().T
    assert (products - 2 * products.diag().diag()).max() <= head_dim - 8, "two codes are too alike"
    picks = torch.rand(BATCH, LENGTH, HEADS, device="cuda")
    picks = (picks * (torch.arange(1, LENGTH + 1, device="cuda")[:, None] if causal else LENGTH)).long()
    q = 64 * codes[picks]
    k = codes[None, :, None].expand(BATCH, -1, HEADS, -1).contiguous()
    v = torch.randint(-128, 129, (BATCH, LENGTH, HEADS, head_dim), device="cuda").to(dtype)
    out, _ = triton_flash_attention(q, k, v, causal, scale=1.0)
    assert torch.equal(out, v.gather(1, picks[..., None].expand(-1, -1, -1, head_dim)))


if __name__ == "__main__":
    torch.manual_seed(0)
    for dtype in (torch.bfloat16, torch.float16):
        for head_dim in (64, 128):
            uniform_weights_count_exactly(head_dim, dtype)
            for causal in (False, True):
                for _ in range(5):
                    sharp_weights_pick_exactly(head_dim, causal, dtype)
    print("exact")
