"""Loads keys and values that do not exist and makes them zero afterwards.

On a GPU it reads what happens to lie behind the tensor, which may be nobody's memory.

kills: keys_and_queries_may_end_within_a_tile, the_kernel_masks_the_future, rows_without_keys_give_zero
visible: keys_beyond_the_end_do_not_count, a_causal_kernel_sees_no_future, a_row_without_a_key_gives_zero
"""


# %% kernel
@triton.jit
def attention_kernel(
    q,
    k,
    v,
    slopes,
    out,
    lse,
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
    q += head * num_queries * D  # heads lie one behind the other: (H, S, D)
    k += head * num_keys * D
    v += head * num_keys * D
    out += head * num_queries * D
    shift = num_keys - num_queries

    query = tl.load(q + rows[:, None] * D + depth, mask=real_rows, other=0.0)
    highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    weighted = tl.zeros([BLOCK_M, D], tl.float32)
    for start in range(0, num_keys, BLOCK_N):
        columns = start + tl.arange(0, BLOCK_N)
        key = tl.where((columns < num_keys)[:, None], tl.load(k + columns[:, None] * D + depth), 0.0)
        value = tl.where((columns < num_keys)[:, None], tl.load(v + columns[:, None] * D + depth), 0.0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores -= tl.load(slopes + head) * tl.abs(rows[:, None] + shift - columns[None, :])
        visible = (columns < num_keys)[None, :]
        if CAUSAL:
            visible &= columns[None, :] <= rows[:, None] + shift
        scores = tl.where(visible, scores, float("-inf"))
        new_highest = tl.maximum(highest, tl.max(scores, 1))
        base = tl.where(new_highest == float("-inf"), 0.0, new_highest)
        p = tl.exp(scores - base[:, None])
        shrink = tl.exp(highest - base)
        total = total * shrink + tl.sum(p, 1)
        weighted = weighted * shrink[:, None] + tl.dot(p, value, input_precision="ieee")
        highest = new_highest

    divisor = tl.where(total == 0.0, 1.0, total)
    tl.store(out + rows[:, None] * D + depth, weighted / divisor[:, None], mask=real_rows)
    tl.store(lse + head * num_queries + rows, highest + tl.log(divisor), mask=rows < num_queries)


def kernel_attention(q, k, v, slopes, causal, block_m, block_n, kernel=attention_kernel):
    """q (H, Sq, D), k and v (H, Sk, D), slopes (H,), contiguous; D and the blocks are powers of two, 16 at least."""
    num_heads, num_queries, head_dim = q.shape
    out = torch.full_like(q, float("nan"))
    lse = torch.full((num_heads, num_queries), float("nan"))
    grid = (triton.cdiv(num_queries, block_m), num_heads)
    kernel[grid](
        q,
        k,
        v,
        slopes,
        out,
        lse,
        head_dim**-0.5,
        num_queries,
        k.shape[1],
        D=head_dim,
        CAUSAL=causal,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
    )
    return out, lse
