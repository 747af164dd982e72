"""The tokens of the tree, against a look-up node by node."""

import pytest
import torch

from nimblelm.inference.medusa.candidates import tree_tokens
from nimblelm.inference.medusa.tree import CandidateTree


def test_each_node_holds_its_rank_among_the_guesses_of_its_head():
    guesses = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    tree = CandidateTree(((0,), (1,), (4,), (0, 0), (0, 2), (4, 1), (0, 2, 3)))
    tokens = tree_tokens(torch.tensor(13), guesses, tree).tolist()
    order = [sorted(range(20), key=lambda x, row=row: -float(row[x])) for row in guesses]
    assert tokens[0] == 13
    assert tokens[1:] == [order[len(name) - 1][name[-1]] for name in tree.choices]


def test_a_root_alone_needs_no_guess():
    assert tree_tokens(torch.tensor(5), torch.randn(2, 9), CandidateTree(())).tolist() == [5]


def test_a_tree_beyond_the_heads_is_refused():
    with pytest.raises(ValueError, match="asks for 1 guesses of 2 heads, there are 1 heads"):
        tree_tokens(torch.tensor(0), torch.randn(1, 9), CandidateTree(((0,), (0, 0))))
    with pytest.raises(ValueError, match="asks for 10 guesses"):
        tree_tokens(torch.tensor(0), torch.randn(1, 9), CandidateTree(((9,),)))
