"""Block-sparse attention over a fixed pattern of blocks, arXiv:2205.14135 section 3.3 and arXiv:2112.00029."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.precision import widened


def butterfly_blocks(num_blocks: int) -> Bool[Tensor, "M M"]:
    """Which blocks of keys a block of queries sees: its own, and those whose number differs from its own in one bit.

    The flat block butterfly of Chen et al., 2022, arXiv:2112.00029, section 3.2. Any block reaches any other in
    log2(num_blocks) steps, that is layers.
    """
    numbers = torch.arange(num_blocks)
    differing = numbers[:, None] ^ numbers
    return (differing & (differing - 1)) == 0  # no bit, or a single one


def gathered_block_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B T H D"],
    v: Float[Tensor, "B T H D"],
    blocks: Bool[Tensor, "M M"],
    block: int,
    scale: float | None = None,
) -> Float[Tensor, "B T H D"]:
    """Softmax attention to the visible blocks alone: the rest is neither read nor computed.

    O = softmax(scale Q K^T + mask) V, the mask 0 in visible blocks and -inf elsewhere
    (Dao et al., 2022, arXiv:2205.14135, section 3.3). In torch: the visible blocks of keys are gathered side by side.
    `nimblelm.kernels.flash_attention.block_sparse_attention` does it in Triton.

    Args:
        q, k, v: queries, keys and values.
        blocks: true where queries i * block .. see keys j * block ..; M = ceil(T / block), in each row at least one.
        block: positions in a block.
        scale: factor of the scores, 1 / sqrt(D) by default.

    Raises:
        ValueError: q, k, v or blocks do not fit each other, or a row of blocks sees nothing.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q=(q, "B T H D"), k=(k, "B T H D"), v=(v, "B T H D"), blocks=(blocks, "M M"))
    length, num_blocks = q.shape[1], -(-q.shape[1] // block)
    if blocks.shape != (num_blocks, num_blocks):
        raise ValueError(f"a mask of {tuple(blocks.shape)} was given, {num_blocks} blocks of {block} cover the length")
    if not blocks.any(1).all():
        raise ValueError("a block of queries sees no block of keys")
    padded = [F.pad(x, (0, 0, 0, 0, 0, -length % block)) for x in widened(q, k, v)]
    query, key, value = (rearrange(x, "b (c i) h d -> b h c i d", i=block) for x in padded)
    widest = int(blocks.sum(1).max())
    seen, which = blocks.int().topk(widest, dim=1)  # (M, widest): visible ones first, then hidden ones as padding
    key, value = (x[:, :, which].flatten(3, 4) for x in (key, value))  # (B, H, M, widest * block, D)

    position = which[..., None] * block + torch.arange(block, device=blocks.device)
    visible = ((seen[..., None] > 0) & (position < length)).flatten(1)  # (M, widest * block)
    factor: float = q.shape[-1] ** -0.5 if scale is None else scale
    scores = (query * factor @ key.mT).masked_fill(~visible[:, None], float("-inf"))
    return rearrange(scores.softmax(-1) @ value, "b h c i d -> b (c i) h d")[:, :length].to(v.dtype)
