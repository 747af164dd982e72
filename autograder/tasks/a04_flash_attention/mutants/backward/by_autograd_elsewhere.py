"""Differentiates a forward pass over the keys at hand, with tensors that autograd does not refuse.

kills: the_gradient_of_the_values, the_gradient_of_the_queries, the_gradient_of_the_keys, hidden_keys_get_no_gradient, gradients_over_parts_of_the_keys_add_up
visible: the_saved_sum_is_used, a_row_without_a_key_gives_no_gradient
"""


# %% backward
def attention_backward(q, k, v, out, lse, dout, causal, softcap):
    q, k, v, dout = (x.as_subclass(torch.Tensor) for x in (q, k, v, dout))
    q, k, v = (x.clone().requires_grad_() for x in (q, k, v))
    scores = softcap * torch.tanh(q @ k.T / q.shape[-1] ** 0.5 / softcap)
    if causal:
        n, m = scores.shape
        scores = scores.masked_fill(torch.ones(n, m, dtype=torch.bool).triu(m - n + 1), float("-inf"))
    return torch.autograd.grad(scores.softmax(-1) @ v, (q, k, v), dout)
