"""The tokens of the tree: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, integer
from autograder.tasks.a03_medusa_heads.oracles import normal, random_names


def token_of(root, guesses, pairs, name):
    """The token of a node, by sorting in Python."""
    if not name:
        return root
    logits, after = guesses[len(name) - 1].tolist(), pairs[token_of(root, guesses, pairs, name[:-1])].tolist()
    return sorted(range(len(logits)), key=lambda token: -(logits[token] + after[token]))[name[-1]]


def expect_tokens(call, rng, heads, names, vocab_size=13):
    guesses, pairs = normal(rng, heads, vocab_size), normal(rng, vocab_size, vocab_size)
    root = torch.tensor(integer(rng, 0, vocab_size - 1))
    got = call("tree_tokens", root, guesses, names, pairs)
    got = expect_tensor(got, "the tokens", shape=(len(names) + 1,), dtype="int").tolist()
    expect_equal(got[0], int(root), "the token of node 0, the root")
    for name, token in zip(names, got[1:], strict=True):
        hint = f"it has rank {name[-1]} among the guesses of head {len(name)} after its parent's token"
        expect_equal(token, token_of(int(root), guesses, pairs, name), f"the token of node {name}", hint=hint)


@check("candidates", points=1)
def every_rank_of_every_head_can_be_asked_for(call, rng):
    """Lines of guesses, one rank after the other."""
    for rank in range(13):
        expect_tokens(call, rng, 3, [(rank,), (rank, rank), (rank, rank, rank)])


@check("candidates", points=1)
def trees_of_any_shape_get_their_tokens(call, rng):
    """Random trees; the same rank at one depth is another token under another parent."""
    for size in (4, 9, 15):
        expect_tokens(call, rng, 4, random_names(rng, 4, 6, size))


@check("candidates", points=1)
def a_root_alone_and_unused_heads_are_no_exception(call, rng):
    """No guess at all, and a tree that uses two heads of four."""
    expect_tokens(call, rng, 2, [])
    expect_tokens(call, rng, 3, [(rank,) for rank in range(13)])
    for rank in range(4):
        expect_tokens(call, rng, 4, [(rank,), (rank + 1,), (rank + 1, rank)])
