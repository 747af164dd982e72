"""Leaves the scale out of the gradients of queries and keys.

kills: the_gradient_of_the_queries, the_gradient_of_the_keys
"""


# %% backward
def attention_backward(q, k, v, out, lse, dout, causal):
    scale = q.shape[1] ** -0.5
    scores = q @ k.T * scale
    if causal:
        hidden = torch.arange(len(k)) > torch.arange(len(q))[:, None] + len(k) - len(q)
        scores = scores.masked_fill(hidden, float("-inf"))
    p = torch.exp(scores - torch.where(lse == float("-inf"), 0.0, lse)[:, None])
    delta = (dout * out).sum(1, keepdim=True)
    ds = p * (dout @ v.T - delta)
    return ds @ k, ds.T @ q, p.T @ dout
