"""Looks no deeper than four levels, the number of heads in the chapter.

kills: the_smallest_and_the_largest_tree
"""


# %% search
def expected_tokens(accuracies, choices):
    return 1.0 + sum(_probability(accuracies, name) for name in choices)


def best_tree(accuracies, size):
    chosen, frontier = [], [()]
    while True:
        name = max(frontier, key=lambda name: _probability(accuracies, name))
        frontier.remove(name)
        chosen.append(name)
        if len(chosen) == size:
            return sorted(chosen[1:], key=lambda name: (len(name), name))
        if len(name) < min(4, len(accuracies)):
            frontier += [(*name, rank) for rank in range(len(accuracies[len(name)]))]


def _probability(accuracies, name):
    product = 1.0
    for k, rank in enumerate(name):
        product *= accuracies[k][rank]
    return product
