"""One token times an int8 matrix: every weight is read once and used once, so only bytes count."""

import triton
import triton.language as tl


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
    tl.store(out_ptr + tl.program_id(1) * N + n, out.to(out_ptr.dtype.element_ty), mask=n < N)
