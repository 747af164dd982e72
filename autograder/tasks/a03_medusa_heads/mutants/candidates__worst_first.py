"""Ranks the guesses from the least likely.

kills: every_rank_of_every_head_can_be_asked_for, trees_of_any_shape_get_their_tokens, a_root_alone_and_unused_heads_are_no_exception
"""


# %% candidates
def tree_tokens(root, guesses, choices):
    ranked = guesses.argsort(-1)
    tokens = [ranked[len(name) - 1, name[-1]] for name in choices]
    return torch.stack([root, *tokens])
