"""Orders the ten likeliest tokens of each head only, as many as the paper's trees use.

kills: every_rank_of_every_head_can_be_asked_for
"""


# %% candidates
def tree_tokens(root, guesses, choices):
    ranked = guesses.topk(10).indices
    tokens = [ranked[len(name) - 1, name[-1]] for name in choices]
    return torch.stack([root, *tokens])
