"""Lets autograd take the products.

kills: the_gradient_passes_through_the_base, the_adapter_gets_its_gradients, layers_do_not_share_what_they_keep
visible: the_gradients_of_two_weights
"""


# %% qlora
def forward(x, codes, scales, levels, A, B, alpha):
    base = levels[codes.int()] * scales.repeat_interleave(codes.shape[1] // scales.shape[1], 1)
    return x @ base.T + alpha / len(A) * x @ A.T @ B.T, (x,)


def backward(grad, kept, codes, scales, levels, A, B, alpha):
    with torch.enable_grad():
        x, A, B = (part.detach().clone().requires_grad_() for part in (*kept, A, B))
        return torch.autograd.grad(forward(x, codes, scales, levels, A, B, alpha)[0], (x, A, B), grad)
