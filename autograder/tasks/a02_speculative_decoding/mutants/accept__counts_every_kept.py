"""Counts kept tokens after the first rejection too.

kills: the_first_rejection_ends_the_block
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    q = draft_probs.gather(-1, draft_tokens[..., None])[..., 0]
    return (uniforms * q < p).sum(-1)
