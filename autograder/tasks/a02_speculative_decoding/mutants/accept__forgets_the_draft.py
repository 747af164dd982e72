"""Compares u with p alone.

kills: the_ratio_of_p_to_q_decides, the_first_rejection_ends_the_block, the_extremes_hold
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    q = draft_probs.gather(-1, draft_tokens[..., None])[..., 0]
    return (uniforms < p).cumprod(-1).sum(-1)
