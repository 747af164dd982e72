"""Knows a single block, rows of blocks and tables of blocks, and no more dimensions than that.

kills: the_first_rejection_ends_the_block
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms, lengths=None):
    shape, length = draft_tokens.shape[:-1], draft_tokens.shape[-1]
    if len(shape) > 1:
        target_probs, draft_probs = target_probs.flatten(0, 1), draft_probs.flatten(0, 1)
        draft_tokens, uniforms = draft_tokens.flatten(0, 1), uniforms.flatten(0, 1)
    if not shape:
        target_probs, draft_probs, draft_tokens, uniforms = (
            x[None] for x in (target_probs, draft_probs, draft_tokens, uniforms)
        )
    rows, positions = torch.arange(len(uniforms))[:, None], torch.arange(length)
    p, q = target_probs[rows, positions, draft_tokens], draft_probs[rows, positions, draft_tokens]
    keep_probs = (p / q).clamp(max=1)
    if uniforms.shape[-1] == 1:
        keep_probs = keep_probs.cumprod(-1)
    kept = uniforms < keep_probs
    if lengths is not None:
        kept &= positions < lengths.reshape(-1, 1)
    return kept.long().cumprod(-1).sum(-1).reshape(shape)
