"""The search for the best draft length never ends; the other three functions of that exercise are right.

base: solution
keeps: all
loses: the_best_length_weighs_tokens_against_cost
"""


# %% speedup
def token_acceptance_rate(kept):
    return sum(kept) / len(kept)


def expected_tokens(a, draft_length):
    return sum(a**i for i in range(draft_length + 1))


def predicted_speedup(a, draft_length, cost_ratio):
    return expected_tokens(a, draft_length) / (1 + draft_length * cost_ratio)


def best_draft_length(a, cost_ratio, max_draft_length):
    length = best = 0
    while length <= max_draft_length:
        if predicted_speedup(a, length, cost_ratio) > predicted_speedup(a, best, cost_ratio):
            best = length
    return best
