"""Sampling distributions against transformers' own logits processors and against counts."""

import pytest
import torch
from scipy.stats import chisquare
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from nimblelm.inference.decoding.sampling import GREEDY, Sampling, probabilities, sample


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [
        (1.0, None, None),
        (0.7, None, None),
        (1.0, 5, None),
        (1.3, None, 0.6),
        (0.8, 20, 0.9),
        (1.0, 1, None),
        (2.0, 500, 0.05),
    ],
)
def test_distributions_agree_with_transformers_processors(temperature, top_k, top_p):
    logits = 3 * torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    theirs = TemperatureLogitsWarper(temperature)(None, logits) if temperature != 1 else logits
    theirs = TopKLogitsWarper(top_k)(None, theirs) if top_k else theirs
    theirs = TopPLogitsWarper(top_p)(None, theirs) if top_p else theirs
    ours = probabilities(logits, Sampling(temperature, top_k, top_p))
    torch.testing.assert_close(ours, theirs.softmax(-1), atol=1e-6, rtol=1e-5)


def test_greedy_takes_the_first_of_tied_maxima():
    logits = torch.tensor([[0.0, 2.0, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
    assert probabilities(logits, GREEDY).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


def test_samples_follow_the_distribution_and_the_generator():
    probs = torch.tensor([0.5, 0.0, 0.3, 0.2])
    draws = sample(probs.expand(20_000, 4), torch.Generator().manual_seed(3))
    counts = draws.bincount(minlength=4).double()
    assert counts[1] == 0
    assert chisquare(counts[[0, 2, 3]], 20_000 * probs[[0, 2, 3]].double()).pvalue > 1e-4
    assert torch.equal(draws, sample(probs.expand(20_000, 4), torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("settings", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_settings_out_of_range_are_refused_with_their_value(settings):
    with pytest.raises(ValueError, match=str(*settings.values())):
        Sampling(**settings)
