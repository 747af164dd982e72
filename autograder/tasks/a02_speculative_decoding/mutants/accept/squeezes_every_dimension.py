"""Drops every dimension of size 1, so the kept tokens of blocks of one token are mixed.

kills: the_ratio_of_p_to_q_decides, the_first_rejection_ends_the_block
visible: several_blocks_are_verified_at_once
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms):
    p = target_probs[..., :-1, :].gather(-1, draft_tokens[..., None]).squeeze()
    q = draft_probs.gather(-1, draft_tokens[..., None]).squeeze()
    return (uniforms < p / q).long().cumprod(-1).sum(-1)
