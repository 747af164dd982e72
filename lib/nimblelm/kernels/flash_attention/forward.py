"""The fast forward kernel: TMA loads, base-2 exponentials, masks only where they cut."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from nimblelm.kernels.flash_attention.configs import Tile
from nimblelm.kernels.flash_attention.shared import (
    descriptor,
    heads_per_l2_group,
    load,
    load_once,
    program_to_tile,
    store,
)

LOG2_E = math.log2(math.e)


@triton.jit
def attend_tile(
    acc, l_i, m_i, query, keys, values, batch, kv_head, start, rows, shift, num_keys, scale_log2,
    MASKED: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_N: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One step of the running softmax: keys start .. start + BLOCK_N - 1; MASKED where some row must not see one."""
    key = load(keys, batch, start, kv_head, BLOCK_N, D)
    scores = tl.dot(query, key.T, input_precision=PRECISION)  # (BLOCK_M, BLOCK_N), not yet scaled
    if MASKED:
        columns = start + tl.arange(0, BLOCK_N)[None, :]
        visible = columns <= rows[:, None] + shift if CAUSAL else columns < num_keys
        scores = tl.where(visible, scores, float("-inf"))
    m_new = tl.maximum(m_i, tl.max(scores, 1) * scale_log2)
    base = m_new
    if MASKED:  # -inf minus -inf, for a row that has seen no key yet
        base = tl.where(m_new == float("-inf"), 0.0, m_new)
    p = tl.exp2(scores * scale_log2 - base[:, None])  # one fused multiply-add and one exponential an element
    alpha = tl.exp2(m_i - base)
    l_i = l_i * alpha + tl.sum(p, 1)
    value = load(values, batch, start, kv_head, BLOCK_N, D)
    acc = tl.dot(p.to(value.dtype), value, acc * alpha[:, None], input_precision=PRECISION)
    return acc, l_i, m_new


@triton.jit
def finish(out, lse, acc, l_i, m_i, batch, head, row_of_heads, first_row, num_queries,
           BLOCK_M: tl.constexpr, D: tl.constexpr):  # fmt: skip
    """Divide by the sums and store; rows that saw no key get 0 and -inf."""
    divisor = tl.where(l_i == 0.0, 1.0, l_i)
    store(out, batch, first_row, head, acc / divisor[:, None], BLOCK_M, D)
    natural = (m_i + tl.log2(divisor)) * 0.6931471805599453  # ln 2
    rows = first_row + tl.arange(0, BLOCK_M)
    tl.store(lse + row_of_heads.to(tl.int64) * num_queries + rows, natural, mask=rows < num_queries)


@triton.jit
def forward_kernel(
    queries, q_batch, q_row, q_head, keys, values, out, lse,
    scale_log2, num_queries, num_keys, num_heads, all_heads, group, num_tiles, section,
    CAUSAL: tl.constexpr, HEAD_DIM: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of queries of one head against the keys that it sees: first those that every row sees, then the rest."""
    tile, row_of_heads = program_to_tile(num_tiles, all_heads, section, CAUSAL)
    batch, head = row_of_heads // num_heads, row_of_heads % num_heads
    kv_head = head // group
    first_row = tile * BLOCK_M
    rows = first_row + tl.arange(0, BLOCK_M)
    query = load_once(
        queries, q_batch, q_row, q_head, batch, first_row, head, num_queries, BLOCK_M, HEAD_DIM, D
    )  # fmt: skip
    acc = tl.zeros([BLOCK_M, D], tl.float32)
    l_i = tl.zeros([BLOCK_M], tl.float32)
    m_i = tl.full([BLOCK_M], float("-inf"), tl.float32)

    shift = num_keys - num_queries
    end, whole = num_keys, num_keys  # keys that some row sees, and keys that all rows see
    if CAUSAL:
        end = tl.minimum(num_keys, first_row + BLOCK_M + shift)
        whole = tl.minimum(num_keys, tl.maximum(0, first_row + shift + 1))
    whole = whole // BLOCK_N * BLOCK_N
    for start in tl.range(0, whole, BLOCK_N):
        acc, l_i, m_i = attend_tile(
            acc, l_i, m_i, query, keys, values, batch, kv_head, start, rows, shift, num_keys, scale_log2,
            False, CAUSAL, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    for start in tl.range(whole, end, BLOCK_N):
        acc, l_i, m_i = attend_tile(
            acc, l_i, m_i, query, keys, values, batch, kv_head, start, rows, shift, num_keys, scale_log2,
            True, CAUSAL, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    finish(out, lse, acc, l_i, m_i, batch, head, row_of_heads, first_row, num_queries, BLOCK_M, D)


def forward(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float, tile: Tile, precision: str):
    """Launch the forward kernel on tensors that TMA can move: (out, lse).

    Moves (2 Sq H + 2 Sk H ceil(Sq / block_m)) D itemsize bytes, all but (2 Sq H + 2 Sk Hkv) D itemsize of them from the
    second-level cache at best; accumulates in float32. Oracle: `reference.attention`.

    Chapter: book/ch04_flash_attention
    """
    batch, num_queries, num_heads, head_dim = q.shape
    num_keys, group = k.shape[1], num_heads // k.shape[2]
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(batch, num_heads, num_queries, dtype=torch.float32, device=q.device)
    num_tiles = triton.cdiv(num_queries, tile.block_m)
    with torch.cuda.device_of(q):
        forward_kernel[(num_tiles * batch * num_heads,)](
            q, *q.stride()[:3], descriptor(k, tile.block_n), descriptor(v, tile.block_n),
            descriptor(out, tile.block_m), lse,
            scale * LOG2_E, num_queries, num_keys, num_heads, batch * num_heads, group, num_tiles,
            heads_per_l2_group(k, group),
            CAUSAL=causal, HEAD_DIM=head_dim, D=triton.next_power_of_2(head_dim), PRECISION=precision, **tile.options(),
        )  # fmt: skip
    return out, lse
