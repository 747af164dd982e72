"""Multiplies by W1 where W1 transposed is due: states are rows.

kills: the_logits_follow_the_formula
visible: a_head_adds_a_silu_layer_to_its_input
"""


# %% heads
def medusa_logits(hidden, w1, b, w2):
    logits = []
    for k in range(len(w1)):
        residual = hidden + torch.nn.functional.silu(hidden @ w1[k] + b[k])
        logits.append(residual @ w2[k].T)
    return torch.stack(logits)


def fresh_heads(lm_head, num_heads):
    width = lm_head.shape[1]
    return torch.zeros(num_heads, width, width), torch.zeros(num_heads, width), torch.stack([lm_head] * num_heads)
