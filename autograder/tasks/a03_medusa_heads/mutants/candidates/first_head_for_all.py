"""Guesses every token with the first head.

kills: every_rank_of_every_head_can_be_asked_for, trees_of_any_shape_get_their_tokens, a_root_alone_and_unused_heads_are_no_exception
visible: a_name_says_which_head_and_which_rank
"""


# %% candidates
def tree_tokens(root, guesses, choices, pairs):
    tokens = [root]
    for name in choices:
        ranked = (guesses[0] + pairs[tokens[[(), *choices].index(name[:-1])]]).argsort(descending=True)
        tokens.append(ranked[name[-1]])
    return torch.stack(tokens)
