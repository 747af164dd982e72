"""Forgets the causal mask.

kills: hidden_keys_get_no_gradient
"""


# %% backward
def attention_backward(q, k, v, out, lse, dout, causal):
    scale = q.shape[1] ** -0.5
    scores = q @ k.T * scale
    p = torch.exp(scores - torch.where(lse == float("-inf"), 0.0, lse)[:, None])
    delta = (dout * out).sum(1, keepdim=True)
    ds = p * (dout @ v.T - delta) * scale
    return ds @ k, ds.T @ q, p.T @ dout
