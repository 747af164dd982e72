"""Flash decoding: the cache is cut into splits that are attended to in parallel, and the parts are merged."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportReturnType=false

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int32
from torch import Tensor

SPLITS_WANTED = 32
MIN_SPLIT_ROWS, MAX_SPLIT_ROWS = 64, 1024


class Tile(NamedTuple):
    """How one program is shaped: query rows, cache rows a step, padded head dimension, warps and loads in flight.

    Chapter: book/ch04_flash_attention
    """

    block_m: int
    block_n: int
    block_d: int
    num_warps: int
    num_stages: int


def choose_tile(query_rows: int, head_dim: int, dtype: torch.dtype) -> Tile:
    """The shipped configuration for `query_rows` = T H / Hkv rows. Not yet tuned on a GPU.

    At least 16 rows, since a tensor core multiplies no fewer; more than 64 become several tiles, which share the
    cache's rows through L2. float32 runs on the ordinary units, whose operands stand in registers: 16 rows, and twice
    the warps for a long head.

    Chapter: book/ch04_flash_attention
    """
    block_m = min(max(triton.next_power_of_2(query_rows), 16), 64)
    block_d = max(triton.next_power_of_2(head_dim), 32)
    if dtype == torch.float32:
        return Tile(16, 32, block_d, num_warps=8 if block_d > 64 else 4, num_stages=3)
    return Tile(block_m, 64, block_d, num_warps=4, num_stages=3)


def split_rows(num_rows: int) -> int:
    """Cache rows of one split, a power of two: about 32 splits of a cache of `num_rows`, each 64 to 1024 rows.

    It depends on nothing else, neither on lengths nor on the batch. So a CUDA graph may hold the launch, and a
    sequence gives the same bits alone and in a batch.

    Chapter: book/ch04_flash_attention
    """
    wanted = triton.next_power_of_2(triton.cdiv(num_rows, SPLITS_WANTED))
    return min(max(wanted, MIN_SPLIT_ROWS), MAX_SPLIT_ROWS)


@triton.jit
def attend_split(
    q_ptr,
    k_ptr,
    v_ptr,
    lengths_ptr,
    part_ptr,
    lse_ptr,
    stride_b,
    stride_s,
    stride_h,
    scale_log2,
    num_rows,
    split_size,
    T,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Online softmax over one split of one key-value head, for a tile of the queries that share the head.

    part = sum_j 2^(s_j - lse) v_j and lse = log2 sum_j 2^s_j with s_j = scale_log2 q . k_j over the split's rows j.

    Chapter: book/ch04_flash_attention
    """
    row_tiles = tl.cdiv(T * GROUP, BLOCK_M)
    kv_head, row_tile = tl.program_id(0) // row_tiles, tl.program_id(0) % row_tiles
    num_kv_heads = tl.num_programs(0) // row_tiles
    split, num_splits, batch = tl.program_id(1), tl.num_programs(1), tl.program_id(2)

    row = row_tile * BLOCK_M + tl.arange(0, BLOCK_M)  # row = token * GROUP + head within the group
    d = tl.arange(0, BLOCK_D)
    token = row // GROUP
    query = ((batch * T + token) * num_kv_heads + kv_head) * GROUP + row % GROUP  # index among B T H
    is_query, is_dim = row < T * GROUP, d < HEAD_DIM
    q = tl.load(
        q_ptr + query.to(tl.int64)[:, None] * HEAD_DIM + d, mask=is_query[:, None] & is_dim, other=0.0
    )  # (BLOCK_M, BLOCK_D)

    length = tl.load(lengths_ptr + batch)
    end = tl.minimum(length, num_rows)
    visible = tl.minimum(length - T + 1 + token, end)  # rows that each query sees
    first = split * split_size
    offset = batch.to(tl.int64) * stride_b + first.to(tl.int64) * stride_s + kv_head * stride_h
    k_ptr += offset
    v_ptr += offset

    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    for start in tl.range(0, tl.minimum(split_size, end - first), BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        block = n[:, None] * stride_s + d
        is_row = (first + n < end)[:, None] & is_dim  # stale rows are never read: 0 * nan is nan
        k = tl.load(k_ptr + block, mask=is_row, other=0.0)
        v = tl.load(v_ptr + block, mask=is_row, other=0.0)
        scores = tl.dot(q, k.T, input_precision="ieee") * scale_log2
        scores = tl.where(first + n < visible[:, None], scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        shift = tl.where(new_top == float("-inf"), 0.0, new_top)  # nothing seen so far: -inf minus -inf is nan
        weights = tl.exp2(scores - shift[:, None])
        shrink = tl.exp2(top - shift)
        total = total * shrink + tl.sum(weights, 1)
        acc = tl.dot(weights.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
        top = new_top

    seen = total > 0.0
    total = tl.where(seen, total, 1.0)
    acc /= total[:, None]
    slot = query.to(tl.int64) * num_splits + split
    tl.store(lse_ptr + slot, top + tl.log2(total), mask=is_query)  # nothing seen: top is -inf
    tl.store(part_ptr + slot[:, None] * HEAD_DIM + d, acc, mask=(is_query & seen)[:, None] & is_dim)


@triton.jit
def merge_splits(
    part_ptr,
    lse_ptr,
    out_ptr,
    num_splits,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """out = sum_s 2^(lse_s - top) part_s / sum_s 2^(lse_s - top) for one query of one head; top is the largest lse.

    Chapter: book/ch04_flash_attention
    """
    query = tl.program_id(0).to(tl.int64)
    part_ptr += query * num_splits * HEAD_DIM
    lse_ptr += query * num_splits
    d = tl.arange(0, BLOCK_D)

    top = tl.full((BLOCK_S,), float("-inf"), tl.float32)
    for start in tl.range(0, num_splits, BLOCK_S):
        split = start + tl.arange(0, BLOCK_S)
        top = tl.maximum(top, tl.load(lse_ptr + split, mask=split < num_splits, other=float("-inf")))
    shift = tl.max(top, 0)
    shift = tl.where(shift == float("-inf"), 0.0, shift)  # every split empty

    total = tl.zeros((BLOCK_S,), tl.float32)
    acc = tl.zeros((BLOCK_S, BLOCK_D), tl.float32)
    for start in tl.range(0, num_splits, BLOCK_S):
        split = start + tl.arange(0, BLOCK_S)
        lse = tl.load(lse_ptr + split, mask=split < num_splits, other=float("-inf"))
        written = (lse > float("-inf"))[:, None] & (d < HEAD_DIM)  # an empty split wrote nothing
        part = tl.load(part_ptr + split[:, None] * HEAD_DIM + d, mask=written, other=0.0)
        weight = tl.exp2(lse - shift)
        total += weight
        acc += weight[:, None] * part
    norm = tl.sum(total, 0)
    out = tl.sum(acc, 0) / tl.where(norm > 0.0, norm, 1.0)
    tl.store(out_ptr + query * HEAD_DIM + d, out.to(out_ptr.dtype.element_ty), mask=d < HEAD_DIM)


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
        ValueError: strides of keys and values differ, or elements of a head do not lie side by side.

    Chapter: book/ch04_flash_attention
    """
    batch, length, num_heads, head_dim = q.shape
    num_rows, num_kv_heads = keys.shape[1:3]
    if keys.stride() != values.stride() or keys.stride(3) != 1:
        raise ValueError(f"keys and values need equal strides that end in 1, got {keys.stride()} and {values.stride()}")
    group = num_heads // num_kv_heads
    tile = tile or choose_tile(length * group, head_dim, q.dtype)
    rows = rows or split_rows(num_rows)
    num_splits = triton.cdiv(num_rows, rows)
    q = q.contiguous()
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
        BLOCK_D=tile.block_d,
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )
    merge_splits[batch * length * num_heads,](
        parts, lse, out, num_splits, HEAD_DIM=head_dim, BLOCK_D=tile.block_d, BLOCK_S=16
    )
    return out
