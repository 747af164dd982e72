"""Multiplies the state with each output matrix, without the residual layer.

kills: the_logits_follow_the_formula, a_head_depends_on_its_own_weights_alone
visible: a_head_adds_a_silu_layer_to_its_input
"""


# %% heads
def medusa_logits(hidden, w1, b, w2):
    return hidden @ w2.transpose(1, 2)


def fresh_heads(lm_head, num_heads):
    width = lm_head.shape[1]
    w1, b = torch.zeros(num_heads, width, width), torch.zeros(num_heads, width)
    return w1, b, lm_head.repeat(num_heads, 1, 1)
