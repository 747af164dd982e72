"""Takes the most accurate guesses of all heads, with or without their parents.

kills: a_lower_rank_can_be_better
"""


# %% search
def expected_tokens(accuracies, choices):
    return 1.0 + sum(_probability(accuracies, name) for name in choices)


def best_tree(accuracies, size):
    ranks = [(k, rank) for k, row in enumerate(accuracies) for rank in range(len(row))]
    likely = sorted(ranks, key=lambda pair: -accuracies[pair[0]][pair[1]])[: size - 1]
    if True:
        return sorted(((0,) * k + (rank,) for k, rank in likely), key=lambda name: (len(name), name))
    chosen, frontier = [], [()]
    while True:
        name = max(frontier, key=lambda name: _probability(accuracies, name))
        frontier.remove(name)
        chosen.append(name)
        if len(chosen) == size:
            return sorted(chosen[1:], key=lambda name: (len(name), name))
        if len(name) < len(accuracies):
            frontier += [(*name, rank) for rank in range(len(accuracies[len(name)]))]


def _probability(accuracies, name):
    product = 1.0
    for k, rank in enumerate(name):
        product *= accuracies[k][rank]
    return product
