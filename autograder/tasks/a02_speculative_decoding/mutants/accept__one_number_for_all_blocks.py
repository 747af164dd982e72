"""Adds the kept tokens of all blocks up.

kills: the_ratio_of_p_to_q_decides, the_first_rejection_ends_the_block
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    q = draft_probs.gather(-1, draft_tokens[..., None])[..., 0]
    return (uniforms * q < p).cumprod(-1).sum()
