"""The acceptance rule is wrong, and the cell that would show it is gone; the rest is right.

base: solution
keeps: residual, round, decoder, speedup
"""


# %% accept
def accept(target_probs, draft_probs, draft_tokens, uniforms, lengths=None):
    return -1


# %% delete: accept_test
