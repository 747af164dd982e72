"""Keeps a token only if it is the most probable one of the target.

kills: the_ratio_of_p_to_q_decides, the_extremes_hold
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    q = draft_probs.gather(-1, draft_tokens[..., None])[..., 0]
    return (target_probs[..., :-1, :].argmax(-1) == draft_tokens).cumprod(-1).sum(-1)
