"""The choice of a tree: against every tree of its size, against simulated heads, and by measured costs."""

import itertools

import pytest
import torch

from nimblelm.inference.medusa.heads import MedusaConfig, MedusaHeads
from nimblelm.inference.medusa.search import best_size, best_tree, expected_tokens, node_probability, rank_accuracies
from nimblelm.inference.medusa.tree import CandidateTree

ACCURACIES = [[0.5, 0.2, 0.1], [0.4, 0.3, 0.05], [0.3, 0.1, 0.1]]


def all_trees(size):
    names = [n for depth in (1, 2, 3) for n in itertools.product(range(2), repeat=depth)]
    for choices in itertools.combinations(names, size - 1):
        if all(len(n) == 1 or n[:-1] in choices for n in choices):
            yield CandidateTree(choices)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_no_tree_of_the_size_yields_more(size):
    accuracies = [row[:2] for row in ACCURACIES]
    best = max(expected_tokens(accuracies, tree) for tree in all_trees(size))
    assert expected_tokens(accuracies, best_tree(accuracies, size)) == pytest.approx(best)
    assert len(best_tree(accuracies, size)) == size


def test_the_search_takes_a_better_lower_rank():
    assert best_tree([[0.1, 0.6], [0.9, 0.0]], 3).choices == ((1,), (1, 0))


def test_expected_tokens_agree_with_heads_that_err_independently():
    tree, rng = best_tree(ACCURACIES, 9), torch.Generator().manual_seed(0)
    total, draws = 0, 20_000
    shares = [torch.tensor([*row, 1 - sum(row)]) for row in ACCURACIES]
    right = [torch.multinomial(share, draws, replacement=True, generator=rng).tolist() for share in shares]
    for ranks in zip(*right, strict=True):  # the rank that is right at each head; 3 stands for none
        total += 1 + sum(ranks[: len(name)] == name for name in tree.choices)
    assert total / draws == pytest.approx(expected_tokens(ACCURACIES, tree), abs=0.02)


def test_accuracies_count_where_the_rank_is_right():
    torch.manual_seed(0)
    heads, hidden, tokens = MedusaHeads(MedusaConfig(2, 6, 5)), torch.randn(30, 6), torch.randint(5, (30,))
    got = rank_accuracies(heads, hidden, tokens, 5)
    for k, rank in itertools.product(range(2), range(5)):
        hits = [
            int(heads(hidden[t])[k].argsort(descending=True)[rank]) == int(tokens[t + 2 + k]) for t in range(30 - 3)
        ]
        assert got[k, rank] == pytest.approx(sum(hits) / len(hits))
    torch.testing.assert_close(got.sum(1), torch.ones(2))
    with pytest.raises(ValueError, match="3 tokens are too few for 2 heads, 4 are needed"):
        rank_accuracies(heads, hidden[:3], tokens[:3], 5)


def test_costs_decide_the_size():
    assert best_size(ACCURACIES, {1: 1.0, 4: 1.0, 8: 1.0}) == 8
    assert best_size(ACCURACIES, {1: 1.0, 4: 1.2, 8: 3.0}) == 4
    assert best_size(ACCURACIES, {1: 1.0, 4: 5.0, 8: 9.0}) == 1
    with pytest.raises(ValueError, match="empty"):
        best_size(ACCURACIES, {})


def test_sizes_outside_the_range_are_refused():
    for size, message in ((0, "below 1"), (41, "above 40, all nodes of 3 heads")):
        with pytest.raises(ValueError, match=message):
            best_tree(ACCURACIES, size)
    assert len(best_tree(ACCURACIES, 40)) == 40
    assert node_probability(ACCURACIES, ()) == 1
