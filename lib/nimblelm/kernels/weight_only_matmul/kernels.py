"""Products with packed weights: one token with a matrix, a few tokens on tensor cores, and the sum of splits."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportReturnType=false

import triton
import triton.language as tl

from nimblelm.kernels.weight_only_matmul.unpack import unpack_int4


@triton.jit
def int8_gemv(
    x_ptr,
    values_ptr,
    scales_ptr,
    out_ptr,
    N,
    K,
    split_k,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """out[s, n] = scales[n] sum_{k in split s} x[k] values[n, k]; one program to BLOCK_N channels and a split.

    Products stay where they are, and are summed over k once, at the end: no tensor core, no shared memory, 16 bytes
    of weights a load. Bytes moved: N K + 4 N + K element_size. Accumulator: float32.

    Chapter: book/ch02_speculative_decoding
    """
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    first = tl.program_id(1) * split_k
    rows = values_ptr + n.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_N, BLOCK_K), tl.float32)
    for start in tl.range(first, first + split_k, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        values = tl.load(rows + k, mask=(n < N)[:, None] & (k < K), other=0)
        x = tl.load(x_ptr + k, mask=k < K, other=0.0)
        acc += values.to(tl.float32) * x.to(tl.float32)
    out = tl.sum(acc, 1) * tl.load(scales_ptr + n, mask=n < N, other=0.0)
    tl.store(out_ptr + tl.program_id(1).to(tl.int64) * N + n, out.to(out_ptr.dtype.element_ty), mask=n < N)


@triton.jit
def int8_tiles(
    x_ptr,
    values_ptr,
    scales_ptr,
    out_ptr,
    M,
    N,
    K,
    split_k,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """out[s, m, n] = scales[n] sum_{k in split s} x[m, k] values[n, k]; one program to a tile of out and a split.

    Values from -127 to 127 are exact in either half precision and are scaled after the sum.
    Bytes moved: N K + 4 N + M K element_size for each tile of n (through L2). Accumulator: float32.

    Chapter: book/ch02_speculative_decoding
    """
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    split = tl.program_id(1)
    m = tl.program_id(2) * BLOCK_M + tl.arange(0, BLOCK_M)
    is_m, is_n = (m < M)[:, None], n < N
    tokens = x_ptr + m.to(tl.int64)[:, None] * K
    rows = values_ptr + n.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in tl.range(split * split_k, (split + 1) * split_k, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        x = tl.load(tokens + k, mask=is_m & (k < K), other=0.0)
        values = tl.load(rows + k, mask=is_n[:, None] & (k < K), other=0)
        acc = tl.dot(x, values.to(x.dtype).T, acc, input_precision="ieee")
    out = acc * tl.load(scales_ptr + n, mask=is_n, other=0.0)
    tl.store(
        out_ptr + (split * M + m).to(tl.int64)[:, None] * N + n, out.to(out_ptr.dtype.element_ty), mask=is_m & is_n
    )


@triton.jit
def int4_tiles(
    x_ptr,
    packed_ptr,
    scales_ptr,
    out_ptr,
    M,
    N,
    K,
    split_k,
    GROUP: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    PTX: tl.constexpr,
):
    """out[s, m, n] = sum_{g in split s} scales[n, g] sum_{k in group g} x[m, k] values[n, k].

    A step takes one group: its bytes give two tiles of weights, the group's first and second half. The sum over a
    group is scaled, not the weights: M N products per group instead of N times the group's size.
    Bytes moved: N K / 2 + 2 N K / GROUP + M K element_size for each tile of n (through L2). Accumulator: float32.

    Chapter: book/ch02_speculative_decoding
    """
    HALF: tl.constexpr = GROUP // 2
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    split = tl.program_id(1)
    m = tl.program_id(2) * BLOCK_M + tl.arange(0, BLOCK_M)
    j = tl.arange(0, HALF)
    is_m, is_n = (m < M)[:, None], n < N
    num_groups = K // GROUP
    tokens = x_ptr + m.to(tl.int64)[:, None] * K
    first_group = n.to(tl.int64) * num_groups
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for g in tl.range(split * split_k // GROUP, tl.minimum((split + 1) * split_k, K) // GROUP):
        packed = tl.load(packed_ptr + (first_group + g)[:, None] * HALF + j, mask=is_n[:, None], other=0)
        x = tokens + g * GROUP + j
        low, high = unpack_int4(packed, x_ptr.dtype.element_ty, PTX)  # (BLOCK_N, HALF) each
        part = tl.dot(tl.load(x, mask=is_m, other=0.0), low.T, input_precision="ieee")
        part = tl.dot(tl.load(x + HALF, mask=is_m, other=0.0), high.T, part, input_precision="ieee")
        acc += part * tl.load(scales_ptr + first_group + g, mask=is_n, other=0.0).to(tl.float32)
    tl.store(
        out_ptr + (split * M + m).to(tl.int64)[:, None] * N + n, acc.to(out_ptr.dtype.element_ty), mask=is_m & is_n
    )


@triton.jit
def sum_splits(parts_ptr, out_ptr, size, num_splits, BLOCK: tl.constexpr):
    """out = sum_s parts[s], in this order, so results repeat bit by bit.

    Chapter: book/ch02_speculative_decoding
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), tl.float32)
    part = parts_ptr + i
    for _ in tl.range(num_splits):
        acc += tl.load(part, mask=i < size, other=0.0)
        part += size
    tl.store(out_ptr + i, acc.to(out_ptr.dtype.element_ty), mask=i < size)
