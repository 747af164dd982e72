"""Has the loop of the chapter's kernel, which knows no slopes.

kills: the_kernel_computes_full_attention, keys_and_queries_may_end_within_a_tile, the_kernel_masks_the_future, the_running_maximum_is_kept_in_the_kernel, rows_without_keys_give_zero, the_kernel_does_the_work
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
    m_i = tl.full([BLOCK_M], float("-inf"), tl.float32)
    l_i = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, D], tl.float32)
    for start in range(0, num_keys, BLOCK_N):
        columns = start + tl.arange(0, BLOCK_N)
        real_columns = (columns < num_keys)[:, None]
        key = tl.load(k + columns[:, None] * D + depth, mask=real_columns, other=0.0)
        value = tl.load(v + columns[:, None] * D + depth, mask=real_columns, other=0.0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        visible = (columns < num_keys)[None, :]
        if CAUSAL:
            visible &= columns[None, :] <= rows[:, None] + shift
        scores = tl.where(visible, scores, float("-inf"))
        new_m = tl.maximum(m_i, tl.max(scores, 1))
        base = tl.where(new_m == float("-inf"), 0.0, new_m)
        p = tl.exp(scores - base[:, None])
        alpha = tl.exp(m_i - base)
        l_i = l_i * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None] + tl.dot(p, value, input_precision="ieee")
        m_i = new_m

    divisor = tl.where(l_i == 0.0, 1.0, l_i)
    tl.store(out + rows[:, None] * D + depth, acc / divisor[:, None], mask=real_rows)
    tl.store(lse + head * num_queries + rows, m_i + tl.log(divisor), mask=rows < num_queries)


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
