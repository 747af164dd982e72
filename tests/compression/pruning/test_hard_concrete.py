"""The hard concrete distribution against simulation and the closed form; the Lagrangian's saddle point."""

import math

import pytest
import torch
from scipy.stats import kstest

from nimblelm.compression.pruning.hard_concrete import (
    HIGH,
    LOW,
    TEMPERATURE,
    lagrangian,
    open_probability,
    ramped,
    sample_mask,
    settled_mask,
)

ALPHAS = torch.tensor([-3.0, -1.0, 0.0, 0.7, 2.0, 4.0])


def test_masks_are_open_and_shut_as_often_as_the_formulas_say():
    draws = sample_mask(ALPHAS.expand(200_000, -1), torch.Generator().manual_seed(0))
    assert ((draws >= 0) & (draws <= 1)).all()
    torch.testing.assert_close((draws > 0).float().mean(0), open_probability(ALPHAS), atol=4e-3, rtol=0)
    at_one = (ALPHAS - TEMPERATURE * math.log((1 - LOW) / (HIGH - 1))).sigmoid()
    torch.testing.assert_close((draws == 1).float().mean(0), at_one, atol=4e-3, rtol=0)


def test_between_the_ends_it_is_a_stretched_concrete_distribution():
    """P(z <= t) = sigmoid(beta logit((t - gamma) / (zeta - gamma)) - log alpha), by Kolmogorov and Smirnov."""
    draws = sample_mask(torch.full((50_000,), 0.4), torch.Generator().manual_seed(1)).double()
    inside = draws[(draws > 0) & (draws < 1)]

    def cdf(t):
        place = (torch.as_tensor(t) - LOW) / (HIGH - LOW)
        return (TEMPERATURE * place.logit() - 0.4).sigmoid()

    low, high = cdf(0.0), cdf(1.0)
    assert kstest(inside.numpy(), lambda t: ((cdf(t) - low) / (high - low)).numpy()).pvalue > 0.01


def test_given_noise_gives_the_same_mask_and_a_gradient():
    noise = torch.tensor([0.3, 0.5, 0.9]).double()
    alpha = torch.tensor([0.2, -0.4, 0.1]).double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda a: sample_mask(a, noise=noise), (alpha,))
    by_hand = 1 / (1 + math.exp(-(math.log(0.3 / 0.7) + 0.2) / (2 / 3))) * 1.2 - 0.1
    assert sample_mask(alpha, noise=noise)[0].item() == pytest.approx(by_hand)


def test_a_settled_mask_keeps_exactly_so_many():
    alpha = torch.tensor([[2.0, -4.0, -4.0, 3.0], [-4.0, -4.0, -4.0, -4.0]])
    mask = settled_mask(alpha, 2)
    assert (mask > 0).tolist() == [[True, False, False, True], [True, True, False, False]]
    assert mask[0, 3].item() == 1
    assert mask[1, 0].item() == pytest.approx(0.01)
    assert mask[0, 0].item() == pytest.approx(min(1, 1 / (1 + math.exp(-2)) * 1.2 - 0.1))


def test_ascent_finds_the_constrained_optimum_and_descent_does_not():
    """Keep half of 8 masks whose loss is known: those that are worth most, with s_hat at its target."""
    worth = torch.tensor([3.0, 0.1, 2.0, 0.2, 2.5, 0.3, 2.2, 0.1])

    def found(ascend: bool) -> torch.Tensor:
        alpha, pair = torch.full((8,), 2.0, requires_grad=True), torch.zeros(2, requires_grad=True)
        parts = [torch.optim.Adam([alpha], lr=0.05), torch.optim.Adam([pair], lr=0.05, maximize=ascend)]
        generator = torch.Generator().manual_seed(0)
        for _ in range(600):
            loss = (worth * (1 - sample_mask(alpha, generator))).sum() / 8
            sparsity = 1 - open_probability(alpha).mean()
            (loss + lagrangian(sparsity, 0.5, pair)).backward()
            for part in parts:
                part.step()
                part.zero_grad()
        return alpha.detach()

    right = found(ascend=True)
    assert 1 - open_probability(right).mean() == pytest.approx(0.5, abs=0.05)
    assert (right > 0).tolist() == (worth > 1).tolist()
    assert abs(1 - open_probability(found(ascend=False)).mean() - 0.5) > 0.25


def test_the_lagrangian_by_hand():
    value = lagrangian(torch.tensor([0.5, 0.2]), 0.4, torch.tensor([3.0, 10.0]))
    assert value.item() == pytest.approx(((3 * 0.1 + 10 * 0.01) + (-3 * 0.2 + 10 * 0.04)) / 2)
    assert [ramped(0.6, step, 4) for step in (0, 1, 4, 9)] == [0, pytest.approx(0.15), 0.6, 0.6]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        sample_mask(torch.zeros(2), noise=torch.tensor([0.0, 0.5]))
    with pytest.raises(ValueError, match="keep 3 must be between 1 and 2"):
        settled_mask(torch.zeros(4, 2), 3)
    with pytest.raises(ValueError, match=r"target 1\.5"):
        lagrangian(torch.zeros(2), 1.5, torch.zeros(2))
    with pytest.raises(ValueError, match="warmup_steps 0"):
        ramped(0.5, 1, 0)


def test_no_mask_is_settled_on_nan():
    with pytest.raises(ValueError, match="nan"):
        settled_mask(torch.tensor([1.0, torch.nan, 2.0]), 1)
