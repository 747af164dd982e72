"""Keeps the weighted values in the inputs' dtype from tile to tile.

kills: float16_is_as_accurate_as_eager
"""


# %% launch
@triton.jit
def fast_kernel(
    q,
    k,
    v,
    out,
    scale,
    num_queries,
    num_keys,
    D: tl.constexpr,
    CAUSAL: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    head = tl.program_id(1)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    depth = tl.arange(0, D)[None, :]
    real_rows = (rows < num_queries)[:, None]
    q += head * num_queries * D
    k += head * num_keys * D
    v += head * num_keys * D
    out += head * num_queries * D
    shift = num_keys - num_queries

    query = tl.load(q + rows[:, None] * D + depth, mask=real_rows, other=0.0)
    highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    weighted = tl.zeros([BLOCK_M, D], tl.float32)
    scale_log2 = scale * 1.4426950408889634
    first, end, whole = tl.program_id(0) * BLOCK_M, num_keys, num_keys
    if CAUSAL:
        end = tl.minimum(num_keys, first + BLOCK_M + shift)
        whole = tl.minimum(num_keys, tl.maximum(0, first + shift + 1))
    whole = whole // BLOCK_N * BLOCK_N
    for masked in tl.static_range(2):  # whole tiles first, then those that the diagonal or the end cuts
        for start in range(whole if masked else 0, end if masked else whole, BLOCK_N):
            columns = start + tl.arange(0, BLOCK_N)
            place = columns[:, None] * D + depth
            if masked:
                real = (columns < num_keys)[:, None]
                key, value = tl.load(k + place, mask=real, other=0.0), tl.load(v + place, mask=real, other=0.0)
            else:
                key, value = tl.load(k + place), tl.load(v + place)
            scores = tl.dot(query, tl.trans(key)) * scale_log2
            if masked:
                visible = (columns < num_keys)[None, :]
                if CAUSAL:
                    visible &= columns[None, :] <= rows[:, None] + shift
                scores = tl.where(visible, scores, float("-inf"))
            new_highest = tl.maximum(highest, tl.max(scores, 1))
            base = tl.where(new_highest == float("-inf"), 0.0, new_highest)
            p = tl.exp2(scores - base[:, None])
            shrink = tl.exp2(highest - base)
            total = total * shrink + tl.sum(p, 1)
            weighted = tl.dot(p.to(value.dtype), value, weighted * shrink[:, None]).to(value.dtype).to(tl.float32)
            highest = new_highest
    divisor = tl.where(total == 0.0, 1.0, total)
    result = (weighted / divisor[:, None]).to(out.dtype.element_ty)
    tl.store(out + rows[:, None] * D + depth, result, mask=real_rows)


def tiles():
    """By head size, 64 or 128: BLOCK_M, BLOCK_N, num_warps and num_stages."""
    return {64: (128, 64, 8, 3), 128: (128, 64, 8, 3)}


def fast_attention(q, k, v, causal):
    """q (H, Sq, D), k and v (H, Sk, D), contiguous, float16 or bfloat16; D is 64 or 128."""
    num_heads, num_queries, head_dim = q.shape
    out = torch.full_like(q, float("nan"))
    block_m, block_n, num_warps, num_stages = tiles()[head_dim]
    grid = (triton.cdiv(num_queries, block_m), num_heads)
    fast_kernel[grid](
        q,
        k,
        v,
        out,
        head_dim**-0.5,
        num_queries,
        k.shape[1],
        D=head_dim,
        CAUSAL=causal,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        num_warps=num_warps,
        num_stages=num_stages,
    )
    return out
