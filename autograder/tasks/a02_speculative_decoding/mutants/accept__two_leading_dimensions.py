"""Knows a single block, rows of blocks and tables of blocks, and no more dimensions than that.

kills: the_first_rejection_ends_the_block
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    shape = uniforms.shape[:-1]
    if len(shape) > 1:
        target_probs, draft_probs = target_probs.flatten(0, 1), draft_probs.flatten(0, 1)
        draft_tokens, uniforms = draft_tokens.flatten(0, 1), uniforms.flatten(0, 1)
    if not shape:
        target_probs, draft_probs, draft_tokens, uniforms = (
            x[None] for x in (target_probs, draft_probs, draft_tokens, uniforms)
        )
    rows, places = torch.arange(len(uniforms))[:, None], torch.arange(uniforms.shape[1])
    p, q = target_probs[rows, places, draft_tokens], draft_probs[rows, places, draft_tokens]
    return (uniforms * q < p).long().cumprod(-1).sum(-1).reshape(shape)
