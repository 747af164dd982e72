def kernel_attention(q, k, v, slopes, causal, block_m, block_n, kernel=None):
    num_heads, num_queries, head_dim = q.shape
    out = torch.full_like(q, float("nan"))
    lse = torch.full((num_heads, num_queries), float("nan"))
    grid = (triton.cdiv(num_queries, block_m), num_heads)
    (kernel or attention_kernel)[grid](
        q, k, v, slopes, out, lse, head_dim**-0.5, num_queries, k.shape[1],
        D=head_dim, CAUSAL=causal, BLOCK_M=block_m, BLOCK_N=block_n,
    )
    return out, lse
