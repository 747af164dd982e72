"""Takes -inf from -inf in rows that see no key.

kills: hidden_keys_get_no_gradient
"""


# %% backward
def attention_backward(q, k, v, out, lse, dout, causal):
    scale = q.shape[1] ** -0.5
    scores = q @ k.T * scale
    if causal:
        hidden = torch.arange(len(k)) > torch.arange(len(q))[:, None] + len(k) - len(q)
        scores = scores.masked_fill(hidden, float("-inf"))
    p = torch.exp(scores - lse[:, None])
    delta = (dout * out).sum(1, keepdim=True)
    ds = p * (dout @ v.T - delta) * scale
    return ds @ k, ds.T @ q, p.T @ dout
