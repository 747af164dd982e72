"""Aligns the mask at the first key.

kills: hidden_keys_get_no_gradient
"""


# %% backward
def attention_backward(q, k, v, out, lse, dout, causal):
    scale = q.shape[1] ** -0.5
    scores = q @ k.T * scale
    if causal:
        hidden = torch.arange(len(k)) > torch.arange(len(q))[:, None]
        scores = scores.masked_fill(hidden, float("-inf"))
    p = torch.exp(scores - torch.where(lse == float("-inf"), 0.0, lse)[:, None])
    delta = (dout * out).sum(1, keepdim=True)
    ds = p * (dout @ v.T - delta) * scale
    return ds @ k, ds.T @ q, p.T @ dout
