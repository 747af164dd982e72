"""Flash decoding: the cache is cut into splits that are attended to in parallel, and the parts are merged."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportReturnType=false

import math

import torch
import triton
from jaxtyping import Float, Int32
from torch import Tensor

from nimblelm.kernels.flash_decoding.configs import choose_tile, padded_dim, split_rows
from nimblelm.kernels.flash_decoding.kernels import attend_split, merge_splits
from nimblelm.kernels.shapes import check_decoding
from nimblelm.kernels.tile import Tile


def flash_decoding(
    q: Float[Tensor, "B T H D"],
    keys: Float[Tensor, "B S Hkv D"],
    values: Float[Tensor, "B S Hkv D"],
    lengths: Int32[Tensor, "B"],
    scale: float | None = None,
    tile: Tile | None = None,
    rows: int | None = None,
) -> Float[Tensor, "B T H D"]:
    """Attention of T new queries over a static cache, in two kernels, with no look at `lengths` from the host.

    Each split s of the cache gives out_s and lse_s = log2 sum_j 2^(scale log2(e) q . k_j) by online softmax
    (Milakov and Gimelshein, 2018, arXiv:1805.02867, algorithm 3); then out = sum_s 2^(lse_s - lse) out_s
    (Dao et al., 2023, "Flash-Decoding for long-context inference"). The T H / Hkv queries that share a key-value
    head are the rows of one tile, so the head's rows are read once (Ainslie et al., 2023, arXiv:2305.13245).

    Bytes moved: 2 lengths Hkv D element_size a sequence, and 8 D for each query, head and non-empty split, written
    and read once more. Accumulators: float32. Oracle: `reference.flash_decoding` in float64.
    Splits past a row's length leave at once. The order of every sum is fixed: results repeat bit by bit.

    Args:
        q: queries of the T newest tokens.
        keys, values: the static cache, of equal strides; rows from `lengths` on are never read.
        lengths: valid rows of each sequence, the T new ones among them; read on the device.
        scale: 1 / sqrt(D) by default.
        tile, rows: instead of the shipped configuration and of `split_rows(S)`.

    Returns:
        In q's dtype; 0 where a query sees nothing.

    Raises:
        ValueError: the tensors do not fit each other, strides of keys and values differ, elements of a head do not lie
            side by side, or a split is not made of whole steps of the tile.

    Chapter: book/ch04_flash_attention
    """
    check_decoding(q, keys, values, lengths)
    batch, length, num_heads, head_dim = q.shape
    num_rows, num_kv_heads = keys.shape[1:3]
    if keys.stride() != values.stride() or keys.stride(3) != 1:
        raise ValueError(f"keys and values need equal strides that end in 1, got {keys.stride()} and {values.stride()}")
    group = num_heads // num_kv_heads
    tile = tile or choose_tile(length * group, head_dim, q.dtype)
    rows = split_rows(num_rows) if rows is None else rows
    if rows < 1 or rows % tile.block_n:
        raise ValueError(f"a split of {rows} rows is not made of steps of {tile.block_n}")
    num_splits = triton.cdiv(num_rows, rows)
    q, lengths = q.contiguous(), lengths.contiguous()
    out = torch.empty_like(q)
    parts = torch.empty(batch, length, num_heads, num_splits, head_dim, device=q.device, dtype=torch.float32)
    lse = torch.empty(batch, length, num_heads, num_splits, device=q.device, dtype=torch.float32)
    factor: float = head_dim**-0.5 if scale is None else scale

    attend_split[num_kv_heads * triton.cdiv(length * group, tile.block_m), num_splits, batch](
        q,
        keys,
        values,
        lengths,
        parts,
        lse,
        *keys.stride()[:3],
        factor * math.log2(math.e),
        num_rows,
        rows,
        length,
        GROUP=group,
        HEAD_DIM=head_dim,
        BLOCK_M=tile.block_m,
        BLOCK_N=tile.block_n,
        BLOCK_D=padded_dim(head_dim),
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )
    merge_splits[batch * length * num_heads,](
        parts, lse, out, num_splits, HEAD_DIM=head_dim, BLOCK_D=padded_dim(head_dim), BLOCK_S=16
    )
    return out
