"""Adds the biases of all heads to the states of all heads without a dimension between.

kills: the_logits_follow_the_formula, a_head_depends_on_its_own_weights_alone
visible: every_head_reads_the_state_itself
"""


# %% heads
def medusa_logits(hidden, w1, b, w2):
    z = torch.einsum("nd,ked->kne", hidden, w1) + b
    return torch.einsum("kne,kve->knv", hidden + z * z.sigmoid(), w2)


def fresh_heads(lm_head, num_heads):
    width = lm_head.shape[1]
    return torch.zeros(num_heads, width, width), torch.zeros(num_heads, width), torch.stack([lm_head] * num_heads)
