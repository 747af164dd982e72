"""Sets the uniform numbers of padding to 0, which keeps it.

kills: the_ratio_of_p_to_q_decides, the_first_rejection_ends_the_block, impossible_tokens_are_never_kept, the_extremes_hold
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms, lengths=None):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    q = draft_probs.gather(-1, draft_tokens[..., None])[..., 0]
    if lengths is not None:
        uniforms = uniforms * (torch.arange(draft_tokens.shape[-1]) < lengths[..., None])
    keep_probs = (p / q).clamp(max=1)
    if uniforms.shape[-1] == 1:
        keep_probs = keep_probs.cumprod(-1)
    return (uniforms < keep_probs).cumprod(-1).sum(-1)
