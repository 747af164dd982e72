"""Believes that a better rank is always more accurate.

kills: a_lower_rank_can_be_better, no_tree_yields_more
visible: a_second_guess_can_be_better_than_a_first
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
        if len(name) < len(accuracies):
            frontier.append((*name, 0))
        if name and name[-1] + 1 < len(accuracies[len(name) - 1]):
            frontier.append((*name[:-1], name[-1] + 1))


def _probability(accuracies, name):
    product = 1.0
    for k, rank in enumerate(name):
        product *= accuracies[k][rank]
    return product
