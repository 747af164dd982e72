"""Has the chapter's functions with one rate for all positions.

kills: expected_tokens_agree_with_counting, certain_and_impossible_tokens, speedup_is_tokens_over_cost, the_best_length_weighs_tokens_against_cost
visible: formulas_give_hand_computed_values
"""


# %% speedup
def token_acceptance_rate(kept):
    return sum(kept) / len(kept)


def expected_tokens(a, draft_length):
    return float(sum(a**i for i in range(draft_length + 1)))


def predicted_speedup(a, draft_length, cost_ratio):
    return expected_tokens(a, draft_length) / (draft_length * cost_ratio + 1)


def best_draft_length(a, cost_ratio, max_draft_length):
    return max(range(max_draft_length + 1), key=lambda g: predicted_speedup(a, g, cost_ratio))
