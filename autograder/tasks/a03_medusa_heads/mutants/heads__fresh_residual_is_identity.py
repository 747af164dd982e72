"""Begins with W1 = identity, so that a fresh head is not the model's head.

kills: fresh_heads_are_copies_of_the_models_head
"""


# %% heads
def medusa_logits(hidden, w1, b, w2):
    logits = []
    for k in range(len(w1)):
        residual = hidden + torch.nn.functional.silu(hidden @ w1[k].T + b[k])
        logits.append(residual @ w2[k].T)
    return torch.stack(logits)


def fresh_heads(lm_head, num_heads):
    width = lm_head.shape[1]
    return (
        torch.stack([torch.eye(width)] * num_heads),
        torch.zeros(num_heads, width),
        torch.stack([lm_head] * num_heads),
    )
