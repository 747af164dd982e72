"""Sampling without the host: the race's distribution, what can never win, and greedy decoding."""

import torch
from scipy.stats import chisquare

from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, probabilities


def test_draws_follow_the_distribution_and_the_generator():
    probs = torch.tensor([0.5, 0.0, 0.3, 0.15, 0.05]).expand(40_000, 5)
    draws = DeviceSampler(Sampling(), torch.Generator().manual_seed(3)).draw(probs)
    counts = draws.bincount(minlength=5).double()
    assert counts[1] == 0
    expected = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64) * 40_000
    assert chisquare(counts[[0, 2, 3, 4]], expected).pvalue > 1e-4
    assert torch.equal(draws, DeviceSampler(Sampling(), torch.Generator().manual_seed(3)).draw(probs))
    assert not torch.equal(draws, DeviceSampler(Sampling(), torch.Generator().manual_seed(4)).draw(probs))


def test_distributions_are_those_of_probabilities_in_float32():
    logits = 3 * torch.randn(6, 40, generator=torch.Generator().manual_seed(0)).bfloat16()
    for sampling in (GREEDY, Sampling(0.7, top_k=5), Sampling(top_p=0.8)):
        distributions = DeviceSampler(sampling, torch.Generator()).probabilities(logits)
        assert distributions.dtype == torch.float32
        assert torch.equal(distributions, probabilities(logits.float(), sampling))


def test_greedy_draws_the_only_possible_token_and_uses_no_randomness():
    generator = torch.Generator().manual_seed(0)
    sampler = DeviceSampler(GREEDY, generator)
    distributions = sampler.probabilities(torch.tensor([[0.0, 2.0, 2.0], [5.0, 1.0, 2.0]]))
    assert sampler.draw(distributions).tolist() == [1, 0]
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=torch.Generator().manual_seed(0)))
