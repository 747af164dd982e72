"""The backward pass: one kernel owns tiles of queries, one owns tiles of keys; no two programs add to one gradient.

Each recomputes the probabilities from the log-sum-exp. That costs seven matrix products where five would do, and needs
no atomic additions: gradients are the same bits in every run.
"""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from nimblelm.kernels.flash_attention.configs import Config
from nimblelm.kernels.flash_attention.forward import LOG2_E
from nimblelm.kernels.flash_attention.shared import (
    descriptor,
    heads_per_l2_group,
    load,
    load_once,
    program_to_tile,
    store,
)

PREPARE_ROWS = 128  # rows of a tile of the first kernel; every block_m divides it


@triton.jit
def prepare_kernel(out, dout, lse, dlse, lse_log2, delta, num_queries, num_heads, padded, D: tl.constexpr,
                   ROWS: tl.constexpr):  # fmt: skip
    """delta = rowsum(dO * O) - dL, and the log-sum-exp in base 2, both padded to whole tiles.

    Rows beyond the end, and rows that saw no key, get lse_log2 = +inf: then exp2(S - lse_log2) is 0 without a mask.
    """
    row_of_heads = tl.program_id(1)
    first_row = tl.program_id(0) * ROWS
    rows = first_row + tl.arange(0, ROWS)
    real = rows < num_queries
    at = row_of_heads.to(tl.int64) * num_queries + rows
    o = load(out, row_of_heads // num_heads, first_row, row_of_heads % num_heads, ROWS, D).to(tl.float32)
    do = load(dout, row_of_heads // num_heads, first_row, row_of_heads % num_heads, ROWS, D).to(tl.float32)
    in_base_2 = tl.load(lse + at, mask=real, other=float("inf")) * 1.4426950408889634  # log2(e)
    in_base_2 = tl.where(in_base_2 == float("-inf"), float("inf"), in_base_2)
    padded_at = row_of_heads.to(tl.int64) * padded + rows
    tl.store(lse_log2 + padded_at, in_base_2)
    tl.store(delta + padded_at, tl.sum(o * do, 1) - tl.load(dlse + at, mask=real, other=0.0))


@triton.jit
def dq_tile(
    dq, query, do, lse_log2, delta, keys, values, batch, kv_head, start, rows, shift, num_keys, scale_log2,
    MASKED: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_N: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """What keys start .. start + BLOCK_N - 1 add to dQ / scale; MASKED where some row must not see one."""
    key = load(keys, batch, start, kv_head, BLOCK_N, D)
    value = load(values, batch, start, kv_head, BLOCK_N, D)
    scores = tl.dot(query, key.T, input_precision=PRECISION)
    p = tl.exp2(scores * scale_log2 - lse_log2[:, None])  # (BLOCK_M, BLOCK_N)
    if MASKED:
        columns = start + tl.arange(0, BLOCK_N)[None, :]
        p = tl.where(columns <= rows[:, None] + shift if CAUSAL else columns < num_keys, p, 0.0)
    dp = tl.dot(do, value.T, input_precision=PRECISION)
    ds = p * (dp - delta[:, None])
    return tl.dot(ds.to(key.dtype), key, dq, input_precision=PRECISION)


@triton.jit
def dq_kernel(
    queries, q_batch, q_row, q_head, keys, values, douts, do_batch, do_row, do_head, lse_log2, delta, dqs,
    scale, scale_log2, num_queries, num_keys, num_heads, all_heads, group, padded, num_tiles, section,
    CAUSAL: tl.constexpr, HEAD_DIM: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """dQ = scale (P * (dO V^T - delta)) K of one tile of queries; the loops are those of the forward kernel."""
    tile, row_of_heads = program_to_tile(num_tiles, all_heads, section, CAUSAL)
    batch, head = row_of_heads // num_heads, row_of_heads % num_heads
    kv_head = head // group
    first_row = tile * BLOCK_M
    rows = first_row + tl.arange(0, BLOCK_M)
    query = load_once(
        queries, q_batch, q_row, q_head, batch, first_row, head, num_queries, BLOCK_M, HEAD_DIM, D
    )  # fmt: skip
    do = load_once(
        douts, do_batch, do_row, do_head, batch, first_row, head, num_queries, BLOCK_M, HEAD_DIM, D
    )  # fmt: skip
    at = row_of_heads.to(tl.int64) * padded + rows
    row_lse, row_delta = tl.load(lse_log2 + at), tl.load(delta + at)

    shift = num_keys - num_queries
    end, whole = num_keys, num_keys
    if CAUSAL:
        end = tl.minimum(num_keys, first_row + BLOCK_M + shift)
        whole = tl.minimum(num_keys, tl.maximum(0, first_row + shift + 1))
    whole = whole // BLOCK_N * BLOCK_N
    dq = tl.zeros([BLOCK_M, D], tl.float32)
    for start in tl.range(0, whole, BLOCK_N):
        dq = dq_tile(
            dq, query, do, row_lse, row_delta, keys, values, batch, kv_head, start, rows, shift, num_keys, scale_log2,
            False, CAUSAL, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    for start in tl.range(whole, end, BLOCK_N):
        dq = dq_tile(
            dq, query, do, row_lse, row_delta, keys, values, batch, kv_head, start, rows, shift, num_keys, scale_log2,
            True, CAUSAL, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    store(dqs, batch, first_row, head, dq * scale, BLOCK_M, D)


@triton.jit
def dkv_tile(
    dk, dv, key, value, queries, douts, lse_log2, delta, batch, head, num_heads, start, first_row, scale_log2,
    MASKED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """What queries start .. start + BLOCK_M - 1 add to dK / scale and dV; first_row is the first that sees a key."""
    query = load(queries, batch, start, head, BLOCK_M, D)
    do = load(douts, batch, start, head, BLOCK_M, D)
    scores = tl.dot(key, query.T, input_precision=PRECISION)  # transposed: (BLOCK_N, BLOCK_M)
    p = tl.exp2(scores * scale_log2 - lse_log2.load([batch * num_heads + head, start]))
    if MASKED:
        seen_from = first_row - start + tl.arange(0, BLOCK_N)  # the first row of this tile that sees each key
        p = tl.where(seen_from[:, None] <= tl.arange(0, BLOCK_M)[None, :], p, 0.0)
    dv = tl.dot(p.to(do.dtype), do, dv, input_precision=PRECISION)
    dp = tl.dot(value, do.T, input_precision=PRECISION)
    ds = p * (dp - delta.load([batch * num_heads + head, start]))
    dk = tl.dot(ds.to(query.dtype), query, dk, input_precision=PRECISION)
    return dk, dv


@triton.jit
def dkv_kernel(
    queries, keys, k_batch, k_row, k_head, values, v_batch, v_row, v_head, douts, lse_log2, delta, dks, dvs,
    scale, scale_log2, num_queries, num_keys, num_kv_heads, all_kv_heads, group, num_tiles, section,
    CAUSAL: tl.constexpr, HEAD_DIM: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """dK = scale (P * (dO V^T - delta))^T Q and dV = P^T dO of one tile of keys, over all query heads that share it."""
    # a causal tile of keys costs less the later it is: their natural order is the right one
    tile, row_of_kv_heads = program_to_tile(num_tiles, all_kv_heads, section, False)
    batch, kv_head = row_of_kv_heads // num_kv_heads, row_of_kv_heads % num_kv_heads
    first_column = tile * BLOCK_N
    key = load_once(
        keys, k_batch, k_row, k_head, batch, first_column, kv_head, num_keys, BLOCK_N, HEAD_DIM, D
    )  # fmt: skip
    value = load_once(
        values, v_batch, v_row, v_head, batch, first_column, kv_head, num_keys, BLOCK_N, HEAD_DIM, D
    )  # fmt: skip
    dk, dv = tl.zeros([BLOCK_N, D], tl.float32), tl.zeros([BLOCK_N, D], tl.float32)

    first_row = first_column - (num_keys - num_queries)  # the first query that sees the first key
    begin, whole = 0, 0  # the first tile of queries that sees some of these keys, and the first that sees them all
    tiles_of_rows = tl.cdiv(num_queries, BLOCK_M)
    if CAUSAL:
        begin = tl.maximum(0, first_row) // BLOCK_M
        whole = tl.minimum(tiles_of_rows, tl.cdiv(tl.maximum(0, first_row + BLOCK_N - 1), BLOCK_M))
    num_heads, first_head = num_kv_heads * group, kv_head * group
    # tiles of all heads that share these keys in one loop, not in a loop of loops: its pipeline never drains
    count = whole - begin
    for step in tl.range(0, count * group):
        head, start = first_head + step // tl.maximum(count, 1), (begin + step % tl.maximum(count, 1)) * BLOCK_M
        dk, dv = dkv_tile(
            dk, dv, key, value, queries, douts, lse_log2, delta, batch, head, num_heads, start, first_row, scale_log2,
            True, BLOCK_M, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    count = tiles_of_rows - whole
    for step in tl.range(0, count * group):
        head, start = first_head + step // tl.maximum(count, 1), (whole + step % tl.maximum(count, 1)) * BLOCK_M
        dk, dv = dkv_tile(
            dk, dv, key, value, queries, douts, lse_log2, delta, batch, head, num_heads, start, first_row, scale_log2,
            False, BLOCK_M, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    store(dks, batch, first_column, kv_head, dk * scale, BLOCK_N, D)
    store(dvs, batch, first_column, kv_head, dv, BLOCK_N, D)


def prepare(out: Tensor, lse: Tensor, dout: Tensor, dlse: Tensor) -> tuple[Tensor, Tensor]:
    """Launch the first kernel: (lse_log2, delta), each (B * H, Sq rounded up to whole tiles)."""
    batch, num_queries, num_heads, head_dim = out.shape
    padded = triton.cdiv(num_queries, PREPARE_ROWS) * PREPARE_ROWS
    lse_log2, delta = torch.empty(2, batch * num_heads, padded, dtype=torch.float32, device=out.device)
    prepare_kernel[(padded // PREPARE_ROWS, batch * num_heads)](
        descriptor(out, PREPARE_ROWS), descriptor(dout, PREPARE_ROWS), lse, dlse, lse_log2, delta,
        num_queries, num_heads, padded, D=triton.next_power_of_2(head_dim), ROWS=PREPARE_ROWS,
    )  # fmt: skip
    return lse_log2, delta


def by_row(x: Tensor, rows: int) -> TensorDescriptor:
    """A (B * H, S) tensor, to be moved by TMA in `rows` numbers of one head."""
    return TensorDescriptor(x, list(x.shape), list(x.stride()), [1, rows])


def backward(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, dout: Tensor, dlse: Tensor, causal: bool, scale: float,
    config: Config,
):  # fmt: skip
    """Launch the three kernels on tensors that TMA can move: (dq, dk, dv).

    dQ streams K and V ceil(Sq / block_m) times a head, dK and dV stream Q and dO ceil(Sk / block_n) times, from the
    second-level cache at best; accumulates in float32. Oracle: `reference.attention_gradients`.

    Chapter: book/ch04_flash_attention
    """
    batch, num_queries, num_heads, head_dim = q.shape
    num_keys, num_kv_heads = k.shape[1:3]
    group = num_heads // num_kv_heads
    dq, dk, dv = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    settings = {
        "CAUSAL": causal,
        "HEAD_DIM": head_dim,
        "D": triton.next_power_of_2(head_dim),
        "PRECISION": config.precision,
    }
    with torch.cuda.device_of(q):
        lse_log2, delta = prepare(out, lse, dout, dlse)
        tile = config.dq
        num_tiles = triton.cdiv(num_queries, tile.block_m)
        dq_kernel[(num_tiles * batch * num_heads,)](
            q, *q.stride()[:3], descriptor(k, tile.block_n), descriptor(v, tile.block_n), dout, *dout.stride()[:3],
            lse_log2, delta, descriptor(dq, tile.block_m),
            scale, scale * LOG2_E, num_queries, num_keys, num_heads, batch * num_heads, group, delta.shape[1],
            num_tiles, heads_per_l2_group(k, group), **settings, **tile.options(),
        )  # fmt: skip
        tile = config.dkv
        num_tiles = triton.cdiv(num_keys, tile.block_n)
        dkv_kernel[(num_tiles * batch * num_kv_heads,)](
            descriptor(q, tile.block_m), k, *k.stride()[:3], v, *v.stride()[:3], descriptor(dout, tile.block_m),
            by_row(lse_log2, tile.block_m), by_row(delta, tile.block_m),
            descriptor(dk, tile.block_n), descriptor(dv, tile.block_n),
            scale, scale * LOG2_E, num_queries, num_keys, num_kv_heads, batch * num_kv_heads, group, num_tiles,
            heads_per_l2_group(q, 1), **settings, **tile.options(),
        )  # fmt: skip
    return dq, dk, dv
