"""Uses the closed form at a = 1.

kills: certain_acceptance_is_no_division_by_zero, speedup_is_tokens_over_cost
"""


# %% speedup
def token_acceptance_rate(kept):
    return sum(kept) / len(kept)


def expected_tokens(a, draft_length):
    return (1 - a ** (draft_length + 1)) / (1 - a)


def predicted_speedup(a, draft_length, cost_ratio):
    return expected_tokens(a, draft_length) / (draft_length * cost_ratio + 1)


def best_draft_length(a, cost_ratio, max_draft_length):
    return max(range(max_draft_length + 1), key=lambda length: predicted_speedup(a, length, cost_ratio))
