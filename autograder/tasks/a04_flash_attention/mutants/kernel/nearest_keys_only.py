"""Takes a plain softmax over one tile of the last 256 keys: steep slopes make all before them count for nothing.

kills: keys_and_queries_may_end_within_a_tile
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
    columns = tl.maximum(num_keys - 256, 0) + tl.arange(0, 256)
    real_columns = (columns < num_keys)[:, None]
    key = tl.load(k + columns[:, None] * D + depth, mask=real_columns, other=0.0)
    value = tl.load(v + columns[:, None] * D + depth, mask=real_columns, other=0.0)
    scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
    scores -= tl.load(slopes + head) * tl.abs(rows[:, None] + shift - columns[None, :])
    visible = (columns < num_keys)[None, :]
    if CAUSAL:
        visible &= columns[None, :] <= rows[:, None] + shift
    scores = tl.where(visible, scores, float("-inf"))
    m_i = tl.max(scores, 1)
    p = tl.exp(scores - tl.where(m_i == float("-inf"), 0.0, m_i)[:, None])
    l_i = tl.sum(p, 1)
    acc = tl.dot(p, value, input_precision="ieee")

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
