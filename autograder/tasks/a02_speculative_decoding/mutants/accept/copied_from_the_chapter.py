"""Is the chapter's loop over one block, which knows no batch and no padding.

kills: the_ratio_of_p_to_q_decides, the_first_rejection_ends_the_block, impossible_tokens_are_never_kept, the_extremes_hold
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms, lengths=None):
    """How many draft tokens are kept: the first rejection ends the block."""
    for i, x in enumerate(draft_tokens):
        if not uniforms[i] < target_probs[i, x] / draft_probs[i, x]:
            return i
    return len(draft_tokens)
