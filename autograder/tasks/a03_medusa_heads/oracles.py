"""Inputs and oracles that several exercises' hidden checks share."""

import torch

from autograder.checks import integer


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def random_parents(rng, size):
    """Parents of any shape: a node's number does not rise with its depth."""
    return [-1, *(integer(rng, 0, node - 1) for node in range(1, size))]


def walk(parents, node):
    """Nodes from its root to this one."""
    return [] if node < 0 else [*walk(parents, parents[node]), node]


def forest(*trees):
    """The parents of several trees, one behind the other."""
    parents = []
    for tree in trees:
        parents += [-1 if parent < 0 else parent + len(parents) for parent in tree]
    return parents


def leaves(parents):
    return [node for node in range(len(parents)) if node not in parents]


def paths_of(parents):
    """(P, D + 1) rows of nodes, short ones filled up with -1."""
    rows = [walk(parents, node) for node in leaves(parents)]
    longest = max(map(len, rows))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in rows])


def trees(rng):
    """A root alone, a line, a star, and trees of every shape."""
    yield from ([-1], [-1, *range(11)], [-1, 0, 0, 0], [-1, 0, 1, 0, 3, 3, 2], [-1, 0, 1, 2, 0])
    for size in (6, 11, 17):
        yield random_parents(rng, size)


def random_names(rng, heads, ranks, size):
    """A tree of names, sorted by depth and ranks."""
    names = []
    while len(names) < size:
        parent = ((), *names)[integer(rng, 0, len(names))]
        name = (*parent, integer(rng, 0, ranks - 1))
        if len(name) <= heads and name not in names:
            names.append(name)
    return sorted(names, key=lambda name: (len(name), name))
