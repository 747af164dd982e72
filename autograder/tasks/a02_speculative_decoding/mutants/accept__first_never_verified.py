"""Takes the first drafted token unseen.

kills: the_ratio_of_p_to_q_decides, the_first_rejection_ends_the_block, impossible_tokens_are_never_kept
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    q = draft_probs.gather(-1, draft_tokens[..., None])[..., 0]
    return 1 + (uniforms * q < p)[..., 1:].cumprod(-1).sum(-1)
