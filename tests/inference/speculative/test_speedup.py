"""The speedup model against simulation and against hand counts."""

import pytest
import torch

from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats, Round
from nimblelm.inference.speculative.speedup import best_draft_length, expected_tokens, predicted_speedup


@pytest.mark.parametrize(("rate", "length"), [(0.0, 4), (0.3, 1), (0.8, 5), (0.95, 9), (1.0, 6), (0.5, 0)])
def test_expected_tokens_agree_with_a_simulation(rate, length):
    kept = torch.rand(200_000, length, generator=torch.Generator().manual_seed(0)) < rate
    simulated = kept.cumprod(1).sum(1).double().mean().item() + 1
    assert expected_tokens(rate, length) == pytest.approx(simulated, rel=0.01)


def test_predicted_speedup_is_tokens_over_time():
    assert predicted_speedup(0.8, 5, 0.05) == pytest.approx((1 - 0.8**6) / 0.2 / 1.25)
    assert predicted_speedup(0.8, 5, 0.05, verify_ratio=1.2) == pytest.approx((1 - 0.8**6) / 0.2 / 1.45)
    assert predicted_speedup(0.4, 0, 0.3) == 1.0


def test_best_draft_length_is_zero_where_speculation_does_not_pay():
    assert best_draft_length(0.2, 0.5) == 0
    assert best_draft_length(0.9, 0.05) > best_draft_length(0.6, 0.05) > 0
    assert best_draft_length(1.0, 0.0, max_draft_length=7) == 7


def test_statistics_of_hand_counted_rounds():
    rounds = [Round(torch.zeros(k + 1, dtype=torch.long), k, torch.zeros(3, dtype=torch.long)) for k in (3, 0, 1, 3)]
    stats = AcceptanceStats.from_rounds([*rounds, Round(torch.zeros(1, dtype=torch.long), 0, torch.zeros(0).long())])
    assert stats.token_acceptance_rate == 7 / 4
    assert stats.tokens_per_round == 11 / 4
    assert stats.per_position == [3 / 4, 2 / 3, 2 / 2]
    assert stats.acceptance_rate == 7 / 9


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match=r"1\.2"):
        expected_tokens(1.2, 3)
    with pytest.raises(ValueError, match="-1"):
        expected_tokens(0.2, -1)
    with pytest.raises(ValueError, match="0 rounds"):
        AcceptanceStats.from_rounds([])
