"""Guesses every token with the last head.

kills: trees_of_any_shape_get_their_tokens, a_root_alone_and_unused_heads_are_no_exception
"""


# %% candidates
def tree_tokens(root, guesses, choices):
    ranked = guesses.argsort(-1, descending=True)
    tokens = [ranked[len(guesses) - 1, name[-1]] for name in choices]
    return torch.stack([root, *tokens])
