"""Pays for a draft step for the bonus token.

kills: speedup_is_tokens_over_cost, the_best_length_weighs_tokens_against_cost
"""


# %% speedup
def token_acceptance_rate(kept):
    return sum(kept) / len(kept)


def expected_tokens(a, draft_length):
    return float(sum(a**i for i in range(draft_length + 1)))


def predicted_speedup(a, draft_length, cost_ratio):
    return expected_tokens(a, draft_length) / ((draft_length + 1) * cost_ratio + 1)


def best_draft_length(a, cost_ratio, max_draft_length):
    return max(range(max_draft_length + 1), key=lambda length: predicted_speedup(a, length, cost_ratio))
