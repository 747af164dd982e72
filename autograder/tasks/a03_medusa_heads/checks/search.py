"""Which tree: the hidden checks."""

import itertools
import math

import torch

from autograder.checks import check, expect_close, expect_equal, fail, integer
from autograder.tasks.a03_medusa_heads.oracles import normal, random_names


def random_accuracies(rng, *ranks):
    """Shares that sum to less than 1 for each head after each rank of the head before, in no order."""
    shapes = itertools.pairwise((1, *ranks))
    return [normal(rng, rows, count + 1).mul(1.2).softmax(1)[:, :count].tolist() for rows, count in shapes]


def probability(accuracies, name):
    return math.prod(accuracies[k][name[k - 1] if k else 0][rank] for k, rank in enumerate(name))


def names_above(accuracies, least, name=(), reached=1.0):
    """All nodes below one that are at least so likely; what stands on a node is less likely than it."""
    if len(name) == len(accuracies):
        return
    for rank, a in enumerate(accuracies[len(name)][name[-1] if name else 0]):
        if reached * a >= least:
            yield (*name, rank)
            yield from names_above(accuracies, least, (*name, rank), reached * a)


@check("search", points=1)
def expected_tokens_sum_the_nodes(call, rng):
    """1 plus the probability of every node, for random trees."""
    for size in (0, 1, 4, 9):
        accuracies = random_accuracies(rng, 4, 4, 4)
        names = random_names(rng, 3, 4, size)
        got = call("expected_tokens", accuracies, names)
        want = 1 + sum(probability(accuracies, name) for name in names)
        if abs(got - (want - 1)) < 1e-9:
            fail("the root's token is missing: every pass yields one", got=got, want=want)
        expect_close(got, want, f"expected tokens of the tree {names}", hint="a product along the way to each node")


def expect_best(call, accuracies, sizes, least=0.0):
    """The best trees; of many heads only nodes that are at least so likely are looked at, which must be enough."""
    ordered = sorted(names_above(accuracies, least), key=lambda name: -probability(accuracies, name))
    assert len(ordered) >= max(sizes) - 1
    for size in sizes:
        got = call("best_tree", accuracies, size)
        if not isinstance(got, list) or not all(isinstance(name, tuple | list) for name in got):
            fail("return a list of tuples", got=got)
        got = [tuple(name) for name in got]
        want = sorted(ordered[: size - 1], key=lambda name: (len(name), name))
        if len(got) == size:
            fail("the root is one of the `size` nodes, and it has no name in the list", got=got, want=want)
        if orphans := [name for name in got if name[:-1] and name[:-1] not in got]:
            fail(f"node {orphans[0]} is in the tree but not its parent", got=got)
        if sorted(got) == sorted(want):
            expect_equal(got, want, f"the order of the tree of {size} nodes", hint="by depth, then by ranks")
        yields = [1 + sum(probability(accuracies, name) for name in names) for names in (got, want)]
        hint = f"it yields {yields[0]:.3f} tokens a pass, the best {yields[1]:.3f}" if len(got) == len(want) else ""
        expect_equal(got, want, f"the best tree of {size} nodes", hint=hint)


@check("search", points=2)
def no_tree_yields_more(call, rng):
    """The tree's nodes are the likeliest of all, for random accuracies."""
    for heads, ranks in ((2, 6), (2, 4), (3, 3), (4, 3), (2, 5), (3, 4)):
        accuracies = random_accuracies(rng, *[ranks] * heads)
        expect_best(call, accuracies, (2, 4, 7))


@check("search", points=1)
def a_lower_rank_can_be_better(call, rng):
    """Accuracies that do not fall with the rank, and heads that are better than those before."""
    for _ in range(3):
        rows = torch.tensor([[0.55, 0.2, 0.1], [0.9, 0.05, 0.02], [0.05, 0.4, 0.3], [0.02, 0.1, 0.8]])
        rows, best = rows * (1 - 0.1 * torch.rand(4, 3, generator=rng())), integer(rng, 1, 2)
        rows = rows.roll(best, 1)
        rolled = [rows[:1].tolist(), rows[1:].roll(best, 0).tolist()]
        expect_best(call, rolled, (2, 3, 4, 6))


@check("search", points=1)
def the_smallest_and_the_largest_tree(call, rng):
    """A root alone, and every node that there is, also of heads with different numbers of ranks and of twenty heads."""
    for _ in range(8):
        expect_best(call, random_accuracies(rng, 3, 3), (1, 2, 13))
        accuracies = random_accuracies(rng, 2, 3, 1, 2, 1, 2)
        expect_best(call, accuracies, (9, 1 + len([*names_above(accuracies, 0.0)])))
    best = torch.rand(20, generator=rng()).mul(0.13).add(0.82).tolist()
    rows = [[[a, (1 - a) / 2, (1 - a) / 4], [a / 9, a / 8, a / 7], [a / 9, a / 6, a / 7]] for a in best]
    expect_best(call, [rows[0][:1], *rows[1:]], (6, 24), least=0.01)
