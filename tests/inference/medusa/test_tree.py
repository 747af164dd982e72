"""The static tree: mask, depths and paths against a walk to the root, and what makes no tree."""

import pytest
import torch

from nimblelm.inference.medusa.tree import NO_NODE, CandidateTree, ancestor_mask, node_depths, root_paths


def walk(parents, node):
    """The node and its ancestors, the root last."""
    return [] if node < 0 else [node, *walk(parents, parents[node])]


def random_parents(size, seed):
    rng = torch.Generator().manual_seed(seed)
    return [-1, *(int(torch.randint(node, (), generator=rng)) for node in range(1, size))]


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_mask_depths_and_paths_agree_with_a_walk_to_the_root(size):
    for seed in range(5):
        parents = random_parents(size, seed)
        mask, depths, paths = ancestor_mask(parents), node_depths(parents), root_paths(parents)
        for node in range(size):
            assert mask[node].nonzero()[:, 0].tolist() == sorted(walk(parents, node))
            assert depths[node] == len(walk(parents, node)) - 1
        rows = [[node for node in row.tolist() if node != NO_NODE] for row in paths]
        leaves = [node for node in range(size) if node not in parents]
        assert rows == [walk(parents, leaf)[::-1] for leaf in leaves]
        assert paths.shape == (len(leaves), int(depths.max()) + 1)


def test_siblings_do_not_see_each_other():
    mask = ancestor_mask([-1, 0, 0, 1, 2])
    assert mask.tolist() == [
        [True, False, False, False, False],
        [True, True, False, False, False],
        [True, False, True, False, False],
        [True, True, False, True, False],
        [True, False, True, False, True],
    ]


def test_choices_are_sorted_by_depth_so_parents_come_first():
    tree = CandidateTree(((1, 0), (0,), (0, 0), (1,), (0, 0, 2)))
    assert tree.choices == ((0,), (1,), (0, 0), (1, 0), (0, 0, 2))
    assert tree.parents == (-1, 0, 0, 1, 2, 3)
    assert tree.ranks.tolist() == [0, 1, 0, 0, 2]
    assert tree.depths.tolist() == [0, 1, 1, 2, 2, 3]
    assert tree.paths.tolist() == [[0, 2, 4, -1], [0, 1, 3, 5]]
    assert len(tree) == 6


def test_a_full_tree_is_the_cartesian_product():
    tree = CandidateTree.full([2, 3])
    assert len(tree) == 1 + 2 + 2 * 3
    assert set(tree.choices) == {(a,) for a in range(2)} | {(a, b) for a in range(2) for b in range(3)}
    assert len(CandidateTree.full([])) == 1


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (((0,), (0,)), "2 choices name 1 nodes"),
        (((),), r"\(\) names no guess"),
        (((-1,),), r"\(-1,\) names no guess"),
        (((0,), (1, 0)), r"holds \(1, 0\) but not its parent \(1,\)"),
    ],
)
def test_what_is_no_tree_is_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        CandidateTree(choices)


@pytest.mark.parametrize("make", [ancestor_mask, node_depths, root_paths])
def test_parents_must_come_before_their_children(make):
    for parents, message in (([], "must begin with -1"), ([0], "must begin"), ([-1, 2, 0], "node 1 has parent 2")):
        with pytest.raises(ValueError, match=message):
            make(parents)
