"""The search for the best draft length never ends; the other three functions of that exercise are right.

base: solution
keeps: all
loses: the_best_length_weighs_tokens_against_cost
"""

# %% speedup
import math


def token_acceptance_rate(kept):
    return sum(kept) / len(kept)


def expected_tokens(rates):
    return 1 + sum(math.prod(rates[:length]) for length in range(1, len(rates) + 1))


def predicted_speedup(rates, cost_ratio, token_cost):
    return expected_tokens(rates) / (1 + len(rates) * cost_ratio + len(rates) * token_cost)


def best_draft_length(rates, cost_ratio, token_cost):
    length = best = 0
    while length <= len(rates):
        if predicted_speedup(rates[:length], cost_ratio, token_cost) > predicted_speedup(
            rates[:best], cost_ratio, token_cost
        ):
            best = length
    return best
