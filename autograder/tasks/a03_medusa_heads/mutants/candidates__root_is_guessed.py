"""Takes the first head's best guess for the root.

kills: every_rank_of_every_head_can_be_asked_for, trees_of_any_shape_get_their_tokens
"""


# %% candidates
def tree_tokens(root, guesses, choices):
    ranked = guesses.argsort(-1, descending=True)
    tokens = [ranked[len(name) - 1, name[-1]] for name in choices]
    return torch.stack([ranked[0, 0], *tokens])
