"""Makes a list of all nodes of the first seven heads, and lets the other heads be.

kills: the_smallest_and_the_largest_tree
"""

# %% search
import itertools
import math


def probability(accuracies, name):
    return math.prod(rows[before][rank] for rows, before, rank in zip(accuracies, (0, *name), name))


def expected_tokens(accuracies, choices):
    return 1.0 + sum(probability(accuracies, name) for name in choices)


def best_tree(accuracies, size):
    heads = accuracies[:7]
    names = [
        n for d in range(1, len(heads) + 1) for n in itertools.product(*(range(len(rows[0])) for rows in heads[:d]))
    ]
    names.sort(key=lambda name: -probability(accuracies, name))
    return sorted(names[: size - 1], key=lambda name: (len(name), name))
