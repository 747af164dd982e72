"""Feeds each head the residual state of the head before.

kills: the_logits_follow_the_formula, a_head_depends_on_its_own_weights_alone
visible: every_head_reads_the_state_itself
"""


# %% heads
def medusa_logits(hidden, w1, b, w2):
    logits = []
    for k in range(len(w1)):
        hidden = hidden + torch.nn.functional.silu(hidden @ w1[k].T + b[k])
        logits.append(hidden @ w2[k].T)
    return torch.stack(logits)


def fresh_heads(lm_head, num_heads):
    width = lm_head.shape[1]
    return torch.zeros(num_heads, width, width), torch.zeros(num_heads, width), torch.stack([lm_head] * num_heads)
