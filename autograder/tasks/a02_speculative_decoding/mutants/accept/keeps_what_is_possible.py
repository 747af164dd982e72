"""Keeps every token to which the target gives any probability.

kills: the_ratio_of_p_to_q_decides, the_first_rejection_ends_the_block, impossible_tokens_are_never_kept, the_extremes_hold
visible: a_block_is_kept_up_to_its_first_rejection
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms, lengths=None):
    chosen = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None])[..., 0]
    kept = chosen > 0
    if lengths is not None:
        kept &= torch.arange(draft_tokens.shape[-1]) < lengths[..., None]
    return kept.cumprod(-1).sum(-1)
