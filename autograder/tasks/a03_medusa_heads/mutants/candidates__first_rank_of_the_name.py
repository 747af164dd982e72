"""Reads the rank of the first head for every head.

kills: trees_of_any_shape_get_their_tokens
visible: a_name_says_which_head_and_which_rank
"""


# %% candidates
def tree_tokens(root, guesses, choices):
    ranked = guesses.argsort(-1, descending=True)
    tokens = [ranked[len(name) - 1, name[0]] for name in choices]
    return torch.stack([root, *tokens])
