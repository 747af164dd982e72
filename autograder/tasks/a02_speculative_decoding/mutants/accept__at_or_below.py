"""Keeps a token where u equals p/q, so that an impossible one gets in at u = 0.

kills: impossible_tokens_are_never_kept
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    q = draft_probs.gather(-1, draft_tokens[..., None])[..., 0]
    return (uniforms * q <= p).cumprod(-1).sum(-1)
