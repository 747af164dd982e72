"""What the interpreter's process calls: kernels together with their gradients."""

import torch

from nimblelm.kernels.flash_attention.block_sparse import triton_block_sparse_attention
from nimblelm.kernels.flash_attention.configs import Config, Tile
from nimblelm.kernels.flash_attention.launch import triton_flash_attention

# 32 x 16: many tiles, full and cut, in lengths that the interpreter can walk through; "ieee" is all that it computes
SMALL = Config(Tile(32, 16, 4, 1), Tile(32, 16, 4, 1), Tile(16, 32, 4, 1), "ieee")


def results(function, q, k, v, dout, dlse=None, *args, **kwargs):
    """(out, lse, dq, dk, dv) of a function that returns (out, lse)."""
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out, lse = function(*inputs, *args, **kwargs)
    pairs = [(out, dout)] if dlse is None else [(out, dout), (lse, dlse)]
    gradients = torch.autograd.grad([x for x, _ in pairs], inputs, [g for _, g in pairs])
    return [x.detach() for x in (out, lse, *gradients)]


def fast(q, k, v, dout, dlse=None, causal=False, scale=None, config=SMALL):
    return results(triton_flash_attention, q, k, v, dout, dlse, causal, scale, config)


def sparse(q, k, v, dout, blocks, block, causal=False, scale=None):
    return results(triton_block_sparse_attention, q, k, v, dout, None, blocks, block, causal, scale)
