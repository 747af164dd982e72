"""Attention over one split of the cache, and the merging of the splits."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportReturnType=false

import triton
import triton.language as tl


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
    query = ((batch.to(tl.int64) * T + token) * num_kv_heads + kv_head) * GROUP + row % GROUP  # index among B T H
    is_query, is_dim = row < T * GROUP, d < HEAD_DIM
    q = tl.load(q_ptr + query[:, None] * HEAD_DIM + d, mask=is_query[:, None] & is_dim, other=0.0)  # (BLOCK_M, BLOCK_D)

    length = tl.load(lengths_ptr + batch)
    end = tl.minimum(length, num_rows)
    visible = tl.minimum(length - T + 1 + token, end)  # rows that each query sees
    first = split * split_size
    offset = batch.to(tl.int64) * stride_b + first.to(tl.int64) * stride_s
    offset += kv_head.to(tl.int64) * stride_h
    k_ptr += offset
    v_ptr += offset

    m_i = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    for start in tl.range(0, tl.minimum(split_size, end - first), BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        block = n.to(tl.int64)[:, None] * stride_s + d
        is_row = (first + n < end)[:, None] & is_dim  # stale rows are never read: 0 * nan is nan
        k = tl.load(k_ptr + block, mask=is_row, other=0.0)
        v = tl.load(v_ptr + block, mask=is_row, other=0.0)
        scores = tl.dot(q, k.T, input_precision="ieee") * scale_log2
        scores = tl.where(first + n < visible[:, None], scores, float("-inf"))
        m_new = tl.maximum(m_i, tl.max(scores, 1))
        shift = tl.where(m_new == float("-inf"), 0.0, m_new)  # nothing seen so far: -inf minus -inf is nan
        weights = tl.exp2(scores - shift[:, None])
        alpha = tl.exp2(m_i - shift)
        l_i = l_i * alpha + tl.sum(weights, 1)
        acc = tl.dot(weights.to(v.dtype), v, acc * alpha[:, None], input_precision="ieee")
        m_i = m_new

    seen = l_i != 0.0  # true for nan as well, which must reach the output
    l_i = tl.where(seen, l_i, 1.0)
    acc /= l_i[:, None]
    slot = query * num_splits + split
    tl.store(lse_ptr + slot, m_i + tl.log2(l_i), mask=is_query)  # nothing seen: m_i is -inf
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
    """out = sum_s 2^(lse_s - m_i) part_s / sum_s 2^(lse_s - m_i) for one query of one head; m_i is the largest lse.

    Chapter: book/ch04_flash_attention
    """
    query = tl.program_id(0).to(tl.int64)
    part_ptr += query * num_splits * HEAD_DIM
    lse_ptr += query * num_splits
    d = tl.arange(0, BLOCK_D)

    m_i = tl.full((BLOCK_S,), float("-inf"), tl.float32)
    for start in tl.range(0, num_splits, BLOCK_S):
        split = start + tl.arange(0, BLOCK_S)
        m_i = tl.maximum(m_i, tl.load(lse_ptr + split, mask=split < num_splits, other=float("-inf")))
    shift = tl.max(m_i, 0)
    shift = tl.where(shift == float("-inf"), 0.0, shift)  # every split empty

    l_i = tl.zeros((BLOCK_S,), tl.float32)
    acc = tl.zeros((BLOCK_S, BLOCK_D), tl.float32)
    for start in tl.range(0, num_splits, BLOCK_S):
        split = start + tl.arange(0, BLOCK_S)
        lse = tl.load(lse_ptr + split, mask=split < num_splits, other=float("-inf"))
        written = (lse > float("-inf"))[:, None] & (d < HEAD_DIM)  # an empty split wrote nothing
        part = tl.load(part_ptr + split[:, None] * HEAD_DIM + d, mask=written, other=0.0)
        weight = tl.exp2(lse - shift)
        l_i += weight
        acc += weight[:, None] * part
    norm = tl.sum(l_i, 0)
    out = tl.sum(acc, 0) / tl.where(norm > 0.0, norm, 1.0)
    tl.store(out_ptr + query * HEAD_DIM + d, out.to(out_ptr.dtype.element_ty), mask=d < HEAD_DIM)
