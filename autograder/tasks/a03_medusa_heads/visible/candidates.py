"""The tokens of the tree: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, explained, fail


@check("candidates")
def a_name_says_which_head_and_which_rank(call, rng):
    """Two heads over five tokens: by logits they rank 1, 2, 3, 0, 4 and 3, 4, 0, 2, 1; 2 and 4 are rarely repeated."""
    guesses = torch.tensor([[0.1, 0.9, 0.5, 0.2, 0.0], [0.3, 0.0, 0.1, 0.8, 0.7]])
    names, pairs = [(0,), (3,), (0, 1), (3, 0), (3, 1)], torch.zeros(5, 5)
    pairs[2, 2] = pairs[4, 4] = -1.0  # of repetitions
    pairs[1, 0] = 1.0  # 0 often follows 1
    with explained(IndexError="the first head is guesses[0], and ranks begin at 0; a rank may be as large as V - 1"):
        got = call("tree_tokens", torch.tensor(2), guesses, names, pairs)
    got = expect_tensor(got, "the tokens", shape=(6,), dtype="int", dims="T").tolist()
    if got[0] != 2:
        fail("the root's token comes first", got=got)
    known = {
        "add the row of `pairs` of the parent's token to the logits before you rank them": [2, 1, 0, 4, 3, 4],
        "the row of `pairs` is that of the parent's token; the root is the parent of depth 1 only": [2, 1, 4, 4, 3, 4],
        "pairs[x, y] is about y after x: take the parent's row, not its column": [2, 1, 4, 4, 3, 0],
        "ranks are not tokens: look up which token has this rank": [2, 0, 3, 1, 0, 1],
        "rank 0 is the best guess, the one with the largest logit": [2, 2, 3, 1, 1, 2],
        "the last rank of a name says which guess it is, the ones before where it stands": [2, 1, 4, 0, 1, 1],
        "a name of length k ends with a guess of head k": [2, 1, 4, 1, 1, 2],
    }
    hint = next(
        (words for words, value in known.items() if value == got),
        "the last number of a name is the rank, its length is the head",
    )
    expect_equal(got, [2, 1, 4, 3, 3, 0], "tokens", hint=hint)
