"""Mask, depths and paths: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, fail
from autograder.tasks.a03_medusa_heads.visible.shared import PATHS

PARENTS = [-1, 0, 0, 1, 1, 2, 3]  # leaves 4, 5, 6


@check("tree")
def a_node_sees_itself_and_its_ancestors(call, rng):
    """The mask of a tree of seven nodes."""
    got = expect_tensor(call("ancestor_mask", PARENTS), "the mask", shape=(7, 7), dtype=torch.bool)
    for i, seen in enumerate(([0], [0, 1], [0, 2], [0, 1, 3], [0, 1, 4], [0, 2, 5], [0, 1, 3, 6])):
        found = got[i].nonzero()[:, 0].tolist()
        if extra := set(found) - set(seen):
            fail(f"node {i} sees node {min(extra)}, which is not on its way to the root", got=found, want=seen)
        if gap := set(seen) - set(found):
            fail(f"node {i} does not see node {min(gap)}: itself, its parent and so on", got=found, want=seen)


@check("tree")
def depths_count_steps_from_the_root(call, rng):
    """The depths of the same tree."""
    got = expect_tensor(call("node_depths", PARENTS), "the depths", shape=(7,), dtype="int").tolist()
    hint = "the number of a node says nothing of its depth; the root has depth 0 and a child one more than its parent"
    expect_equal(got, [0, 1, 1, 2, 2, 2, 3], "depths", hint=hint)


@check("tree")
def paths_lead_from_the_root_to_each_leaf(call, rng):
    """The paths of the same tree: three leaves, filled up with -1."""
    got = expect_tensor(call("root_paths", PARENTS), "the paths", shape=(None, None))
    if len(got) != 3:
        fail("one row for each node that is nobody's parent: here 4, 5 and 6", got=got)
    if got.shape[1] != 4:
        fail("rows are as long as the longest path, the root included: here 4 nodes", got=got)
    expect_tensor(got, "the paths", dtype="int")
    if torch.equal(got, PATHS.clamp(min=0)):
        fail("fill up with -1: 0 is the root, and in verification it would be read as a guess")
    expect_equal(got, PATHS, "the paths", hint="rows in the order of the leaves, in each the root first")


@check("tree")
def trees_of_a_forest_do_not_meet(call, rng):
    """Three trees in one list: a root with two guesses, a root alone, and a root with one guess."""
    parents = [-1, 0, 0, -1, -1, 4]
    mask = expect_tensor(call("ancestor_mask", parents), "the mask", shape=(6, 6), dtype=torch.bool)
    for node, seen in enumerate(([0], [0, 1], [0, 2], [3], [4], [4, 5])):
        found = mask[node].nonzero()[:, 0].tolist()
        hint = "trees do not see each other, and a root's parent, -1, is no index: x[-1] is the last item"
        expect_equal(found, seen, f"the nodes that node {node} of the forest {parents} sees", hint=hint)
    got = expect_tensor(call("node_depths", parents), "the depths", shape=(6,), dtype="int").tolist()
    expect_equal(got, [0, 1, 1, 0, 0, 1], f"depths of the forest {parents}", hint="each tree begins at depth 0")
    got = expect_tensor(call("root_paths", parents), "the paths", shape=(None, None), dtype="int").tolist()
    hint = "a row for each leaf of every tree, and a root without children is a leaf"
    expect_equal(got, [[0, 1], [0, 2], [3, -1], [4, 5]], f"paths of the forest {parents}", hint=hint)
