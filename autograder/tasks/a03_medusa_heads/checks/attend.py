"""Attention over a tree: the hidden checks."""

import itertools
import math

import torch

from autograder.checks import check, expect_close, expect_tensor, fail, integer
from autograder.tasks.a03_medusa_heads.oracles import normal, random_parents, trees, walk


def expect_attention(call, rng, parents, prefix):
    """Random queries, keys, values and slopes."""
    size, heads, width = len(parents), 3, integer(rng, 4, 8)
    q, k, v = (normal(rng, rows, heads, width) for rows in (size, prefix + size, prefix + size))
    attended(call, q, k, v, parents, torch.rand(heads, generator=rng()) + 0.2)


def attended(call, q, k, v, parents, slopes):
    """The output, held against a softmax of its own for each node and head, over the rows that it may see."""
    size, heads, width = q.shape
    prefix, mask = len(k) - size, torch.zeros(size, size, dtype=torch.bool)
    for node in range(size):
        mask[node, walk(parents, node)] = True
    got = expect_tensor(
        call("tree_attention", q, k, v, mask, slopes), "the output", shape=tuple(q.shape), dtype="float"
    )
    if not bool(got.isfinite().all()):
        fail("the output holds NaN or infinity", got=got)
    for node, head in itertools.product(range(size), range(heads)):
        seen = walk(parents, node)
        rows = [*range(prefix), *(prefix + other for other in seen)]  # one for each position up to the node's
        scores = k[rows, head].double() @ q[node, head].double() / math.sqrt(width)
        backwards = torch.arange(len(rows)).flip(0)
        want = (scores - float(slopes[head]) * backwards).softmax(0) @ v[rows, head].double()
        hint = (
            f"{prefix} rows of the prefix are visible to every node, of the tree only what the mask allows; "
            f"this node has position {len(rows) - 1}"
        )
        expect_close(got[node, head], want, f"the output of node {node}, head {head}", 1e-5, 1e-4, hint)
    return got


@check("attend", points=2)
def each_node_sees_the_text_and_its_own_branch(call, rng):
    """Trees of every shape behind prefixes of several lengths, against a softmax over the visible rows alone."""
    for parents, prefix in zip(trees(rng), (5, 3, 8, 1, 6, 12, 4, 7), strict=True):
        expect_attention(call, rng, parents, prefix)


@check("attend", points=1)
def a_tree_without_a_text_before_it_attends_to_itself(call, rng):
    """As many rows as nodes."""
    for size in (1, 5, 11):
        expect_attention(call, rng, random_parents(rng, size), prefix=0)


@check("attend", points=1)
def hidden_rows_play_no_part(call, rng):
    """What stands in rows that a node does not see cannot change its output, however large it is."""
    parents, prefix = [-1, 0, 0, 1, 2], 3
    q, k, v = (normal(rng, rows, 2, 4) for rows in (5, 8, 8))
    q[..., 0], k[..., 0] = 20, -20  # all scores lie far below zero, where a row hidden by a finite score would win
    slopes = torch.rand(2, generator=rng()) + 0.2
    before = attended(call, q, k, v, parents, slopes)
    v[prefix + 2] += 1000
    after = attended(call, q, k, v, parents, slopes)
    if torch.allclose(after[4], before[4], atol=1e-2):
        fail("node 4 stands on node 2 and must see it")
    k[prefix + 2] *= -9
    for changed, what in ((after, "value"), (attended(call, q, k, v, parents, slopes), "key")):
        for node in (0, 1, 3):
            said = f"the output of node {node} when the {what} of node 2 changes"
            expect_close(changed[node], before[node], said, 1e-5, 1e-4)
    if torch.allclose(changed[4], after[4], atol=1e-2):
        fail("the output of node 4 does not depend on the key of node 2, which it sees")
