"""Computes the attention in torch and launches nothing.

kills: the_kernel_does_the_work
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
    pass


def kernel_attention(q, k, v, slopes, causal, block_m, block_n, kernel=attention_kernel):
    """q (H, Sq, D), k and v (H, Sk, D), slopes (H,), contiguous; D and the blocks are powers of two, 16 at least."""
    num_heads, num_queries, head_dim = q.shape
    out = torch.full_like(q, float("nan"))
    lse = torch.full((num_heads, num_queries), float("nan"))
    grid = (triton.cdiv(num_queries, block_m), num_heads)
    positions = torch.arange(num_queries)[:, None] + k.shape[1] - num_queries
    scores = q @ k.mT * head_dim**-0.5 - slopes[:, None, None] * (positions - torch.arange(k.shape[1])).abs()
    if causal:
        scores = scores.masked_fill(
            torch.ones_like(scores, dtype=torch.bool).triu(k.shape[1] - num_queries + 1), float("-inf")
        )
    lse = scores.logsumexp(-1)
    return (scores - lse.clamp(min=-1e30)[..., None]).exp() @ v, lse
