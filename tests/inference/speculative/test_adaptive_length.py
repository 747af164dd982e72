"""The choice of a draft length: the best for each rate, none where it does not pay, and a way back."""

import random

import pytest

from nimblelm.inference.speculative.adaptive_length import AdaptiveLength
from nimblelm.inference.speculative.speedup import expected_tokens

COSTS = {g: 1.0 + 0.1 * g for g in range(9)}  # a draft step costs a tenth of a target step, a check no more than one


def simulated(rates: list[float], costs: dict[int, float], seed: int = 0) -> tuple[list[int], float]:
    """The chosen lengths and the tokens a second of rounds whose drafts are kept with these rates, one a round."""
    chooser, rng, chosen, tokens, seconds = AdaptiveLength(costs), random.Random(seed), [], 0, 0.0
    for rate in rates:
        length, kept = chooser.choose(), 0
        while kept < length and rng.random() < rate:
            kept += 1
        chooser.update(length, [kept])
        chosen.append(length)
        tokens, seconds = tokens + kept + 1, seconds + costs[length]
    return chosen, tokens / seconds


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6, 0.8, 0.95])
def test_the_choice_is_nearly_as_good_as_the_best_length_known_beforehand(rate):
    best = max(expected_tokens(rate, g) / cost for g, cost in COSTS.items())
    _, speed = simulated([rate] * 4000, COSTS)
    assert 0.93 * best < speed < 1.03 * best


def test_speculation_stops_where_it_does_not_pay_and_is_tried_again_now_and_then():
    costs = {g: 1.0 + 0.4 * g for g in range(5)}
    chosen, _ = simulated([0.1] * 2000, costs)
    tries = [i for i, length in enumerate(chosen[100:]) if length]
    assert 10 < len(tries) < 0.1 * 1900
    chosen, _ = simulated([0.1] * 1000 + [0.95] * 1000, costs)
    assert sum(length > 0 for length in chosen[1500:]) > 450


def test_better_drafts_are_longer():
    means = []
    for rate in (0.3, 0.6, 0.8, 0.95):
        chosen = simulated([rate] * 2000, COSTS)[0][500:]
        means.append(sum(chosen) / len(chosen))
    assert means == sorted(means)
    assert means[0] < 2 < 5 < means[-1]


def test_the_rate_counts_verified_drafts_of_all_texts():
    chooser = AdaptiveLength({0: 1.0, 4: 2.0}, assumed_rate=0.5, assumed_counts=2.0, memory=0.5)
    assert chooser.rate == 0.5
    chooser.update(4, [4, 0, 2])  # verified 4, 1 and 3
    assert chooser.rate == (6 + 1) / (8 + 2)
    chooser.update(0, [0, 0, 0])
    assert chooser.rate == (3 + 1) / (4 + 2)


def test_costs_and_numbers_out_of_range_are_refused_with_their_value():
    with pytest.raises(ValueError, match=r"\{1: 0.0\}"):
        AdaptiveLength({1: 0.0})
    with pytest.raises(ValueError, match="memory 1"):
        AdaptiveLength({0: 1.0}, memory=1.0)
    with pytest.raises(ValueError, match=r"assumed_rate 1\.5"):
        AdaptiveLength({0: 1.0}, assumed_rate=1.5)
