"""Sampling at any temperature, in any precision, decides as float64 does on the same logits."""

import math
from itertools import product

import pytest
import torch

from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, draw, probabilities, race, sample
from nimblelm.inference.speculative.acceptance import accept, count_accepted, next_token_probs, residual_probs
from nimblelm.inference.speculative.markov import MarkovModel

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TEMPERATURES = [5e-324, 1e-300, 1e-40, 1e-38, 1e-10, 1e-4, 0.01, 0.7, 1.0, 30.0, 1e30]
LOGITS = torch.tensor(
    [[1.0, 30.0, 2.0, -5.0], [60000.0, 59000.0, -60000.0, 0.0], [3.0, 3.0, -math.inf, 2.0], [0.0, -0.0, 0.0, 0.0]]
)


def exact(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """One row, in float64, token by token as the definitions have it."""
    x = logits.double().tolist()
    top = max(x)
    powers = [(v - top) / sampling.temperature if v < top else 0.0 for v in x]
    weights = [math.exp(p) for p in powers]
    order = sorted(range(len(x)), key=lambda i: (-x[i], i))
    keep = set(order[: sampling.top_k])
    total = sum(weights[i] for i in keep)
    if sampling.top_p is not None:
        before, nucleus = 0.0, set()
        for i in order:
            if i in keep and before / total < sampling.top_p * (1 - 1e-6):
                nucleus.add(i)
            before += weights[i]
        keep, total = nucleus, sum(weights[i] for i in nucleus)
    return torch.tensor([weights[i] / total if i in keep else 0.0 for i in range(len(x))], dtype=torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_every_temperature_in_every_precision_equals_float64(dtype, temperature):
    random = 3 * torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    for logits, limits in product((LOGITS.to(dtype), random.to(dtype)), ({}, {"top_k": 3}, {"top_p": 0.6})):
        sampling = Sampling(temperature, **limits)
        got = probabilities(logits, sampling)
        assert got.dtype == torch.promote_types(dtype, torch.float32)
        for row, one in zip(got, logits, strict=True):
            assert torch.allclose(row.double(), exact(one, sampling), atol=2e-6), (one, sampling)


@pytest.mark.parametrize("temperature", [1e36, 1e38, 3e38])
def test_logits_from_end_to_end_of_float32_are_told_apart_at_their_own_temperature(temperature):
    logits = torch.tensor([3e38, -3e38, 1e38, -torch.inf])
    got = probabilities(logits, Sampling(temperature))
    torch.testing.assert_close(got.double(), exact(logits, Sampling(temperature)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 3, 7, 10, 64, 1000])
def test_top_p_of_equal_tokens_keeps_the_share_and_no_more(dtype, size):
    for kept in {1, 2, size // 3, size // 2, size - 1, size} - {0}:
        probs = probabilities(torch.full((size,), 2.5, dtype=dtype), Sampling(top_p=kept / size))
        assert int((probs > 0).sum()) == kept
        assert bool((probs[:kept] > 0).all())  # of equal tokens the first


def test_ten_equal_tokens_and_a_share_of_six_tenths():
    assert int((probabilities(torch.zeros(10), Sampling(top_p=0.6)) > 0).sum()) == 6


@pytest.mark.parametrize("limits", [{"top_k": 2}, {"top_p": 0.5}])
def test_of_equal_logits_the_first_are_kept(limits):
    for dtype in DTYPES:
        probs = probabilities(torch.tensor([1.0, 5.0, 5.0, 5.0, 5.0, 0.0], dtype=dtype), Sampling(0.01, **limits))
        assert probs.tolist() == [0, 0.5, 0.5, 0, 0, 0]


NO_DISTRIBUTION = [[math.nan, 1.0, 2.0], [1.0, 2.0, math.nan], [math.inf, 0.0, 1.0], [-math.inf] * 3]


@pytest.mark.parametrize("row", NO_DISTRIBUTION)
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(1.0), Sampling(1e-5), Sampling(top_k=2), Sampling(top_p=0.5)])
def test_a_row_without_a_distribution_gives_no_token(row, sampling):
    logits = torch.tensor([[0.0, 1.0, 2.0], row])
    for dtype in DTYPES:
        with pytest.raises(ValueError, match="not a probability distribution"):
            draw(logits.to(dtype), sampling, torch.Generator())
    sampler = DeviceSampler(sampling, torch.Generator())
    with pytest.raises(ValueError, match="not a probability distribution"):
        sampler.draw(sampler.probabilities(logits))


@pytest.mark.parametrize("row", [[0.0, 0.0], [-0.1, 1.1], [math.nan, 1.0], [math.inf, 1.0], [math.inf, math.inf]])
def test_what_is_no_distribution_is_not_drawn_from(row):
    probs = torch.tensor([[0.5, 0.5], row])
    with pytest.raises(ValueError, match="not a probability distribution"):
        sample(probs, torch.Generator())
    with pytest.raises(ValueError, match="not a probability distribution"):
        DeviceSampler(Sampling(), torch.Generator()).draw(probs)


def test_a_token_of_probability_0_never_wins_a_race():
    """Not even against a waiting time that was rounded to 0."""
    assert race(torch.tensor([0.0, 0.4, 0.6]), torch.tensor([0.0, 1.0, 1.0])).item() == 2
    assert race(torch.tensor([0.5, 0.5]).half(), torch.tensor([1e-7, 3e-7]).half()).item() == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_acceptance_and_residual_of_rounded_probabilities_are_those_of_float64(dtype):
    generator = torch.Generator().manual_seed(1)
    p, q = (torch.randn(5, 300, generator=generator).softmax(-1).to(dtype) for _ in range(2))
    q[0] = p[0] * 0.98  # a residual of small differences
    tokens, uniforms = torch.randint(0, 300, (4,), generator=generator), torch.rand(4, generator=generator)
    wanted = (p.double() - q.double()).clamp(min=0)
    wanted = wanted / wanted.sum(-1, keepdim=True)
    torch.testing.assert_close(residual_probs(p, q).double(), wanted, atol=1e-6, rtol=1e-4)
    assert residual_probs(p, q).dtype == torch.promote_types(dtype, torch.float32)
    kept = accept(p.double(), q[:4].double(), tokens, uniforms.double())
    assert accept(p, q[:4], tokens, uniforms) == kept
    assert int(count_accepted(p, q[:4], tokens, uniforms.to(dtype).float())) >= 0
    assert next_token_probs(p, q[:4], 4).dtype == next_token_probs(p, q[:4], 1).dtype


def test_acceptance_compares_in_more_digits_than_half_precision_has():
    """u q = 0.00024414 rounds to p in half precision, and stays below it in truth."""
    p, q = torch.tensor([[0.5, 0.5]]).half(), torch.tensor([[0.5003, 0.4997]]).half()
    just_below, just_above = 0.4999 / 0.50049, 0.50001 / 0.50049
    assert accept(p, q, torch.tensor([0]), torch.tensor([just_below])) == 1
    assert accept(p, q, torch.tensor([0]), torch.tensor([just_above])) == 0


@pytest.mark.parametrize("row", [[0.5, 0.6], [math.nan, 1.0], [-0.5, 1.5], [0.0, 0.0]])
def test_a_table_holds_distributions(row):
    with pytest.raises(ValueError, match="no distribution"):
        MarkovModel(torch.tensor([[0.5, 0.5], row]))
