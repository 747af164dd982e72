"""Mask, depths and paths: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, fail, integer
from autograder.tasks.a03_medusa_heads.oracles import forest, paths_of, trees, walk


def forests(rng):
    """Trees of every shape, one by one and several in a list."""
    shapes = list(trees(rng))
    yield from shapes
    yield forest([-1], [-1], [-1])
    yield forest([-1, 0], [-1], [-1, 0, 0])
    for _ in range(6):
        picked = torch.randperm(len(shapes), generator=rng())[: integer(rng, 2, 4)]
        yield forest(*(shapes[number] for number in picked.tolist()))


@check("tree", points=2)
def a_node_sees_its_ancestors_and_nothing_else(call, rng):
    """Masks of trees and forests of every shape, against a walk from each node to its root."""
    for parents in forests(rng):
        size = len(parents)
        got = expect_tensor(call("ancestor_mask", parents), "the mask", shape=(size, size), dtype=torch.bool)
        for node in range(size):
            seen, found = walk(parents, node), got[node].nonzero()[:, 0].tolist()
            wrong = sorted(set(found) - set(seen))
            if wrong and parents[wrong[0]] == parents[node] >= 0:
                fail(f"in the forest {parents} node {node} sees its sibling {wrong[0]}: two guesses for one position")
            if wrong and walk(parents, wrong[0])[0] != seen[0]:
                fail(f"in the forest {parents} node {node} sees node {wrong[0]}, which is of another tree")
            expect_equal(found, sorted(seen), f"the nodes that node {node} sees in the forest {parents}")


@check("tree", points=1)
def the_root_has_depth_zero_and_a_child_one_more_than_its_parent(call, rng):
    """Depths, which are positions in the sequence relative to the root's."""
    for parents in forests(rng):
        got = expect_tensor(call("node_depths", parents), "the depths", shape=(len(parents),), dtype="int").tolist()
        want = [len(walk(parents, node)) - 1 for node in range(len(parents))]
        if got == list(range(len(parents))) != want:
            fail("siblings stand at the same position: a node's depth is not its number", got=got, want=want)
        if got == [depth + 1 for depth in want]:
            fail("a root's depth is 0: it stands at its own position", got=got, want=want)
        expect_equal(got, want, f"depths of the forest {parents}")


@check("tree", points=2)
def each_leaf_has_a_path(call, rng):
    """Paths from its root to every leaf, filled up with -1."""
    for parents in forests(rng):
        want = paths_of(parents)
        got = expect_tensor(call("root_paths", parents), "the paths", dtype="int")
        if got.shape == want.shape and torch.equal(got, want.clamp(min=0)) and (want < 0).any():
            fail("short paths are filled up with -1, not with 0: node 0 is a root")
        if len(got) == len(parents) > len(want):
            fail("only leaves have a path of their own: a node with a child lies on the child's path")
        expect_equal(got.to(torch.int64), want, f"paths of the forest {parents}")
