"""The acceptance rule and the residual: hand-made cases, and their distribution by enumeration and by counts."""

import torch
from scipy.stats import chisquare

from nimblelm.inference.decoding.sampling import sample
from nimblelm.inference.speculative.acceptance import accept, next_token_probs


def test_kept_tokens_end_at_the_first_rejection():
    p = torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5]])
    q = torch.tensor([[0.5, 0.5], [0.8, 0.2], [0.5, 0.5]])
    drafted = torch.tensor([0, 0, 1])
    assert accept(p, q, drafted, torch.tensor([0.9, 0.5, 0.0])) == 1  # 0.5 >= 0.1 / 0.8
    assert accept(p, q, drafted, torch.tensor([0.9, 0.1, 0.0])) == 3


def test_a_token_that_the_target_never_gives_is_never_kept():
    p, q = torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    assert accept(p, q, torch.tensor([0]), torch.zeros(1)) == 0
    assert next_token_probs(p, q, 0).tolist() == [0.0, 1.0]


def test_one_drafted_token_and_its_correction_give_the_target_distribution_exactly():
    """q(x) min(1, p/q) + P(rejected) residual(x) = p(x), summed in float64 over the acceptance probabilities."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        p, q = (torch.randn(2, 6, generator=generator, dtype=torch.float64) * 2).softmax(-1)
        kept = torch.minimum(p, q)
        residual = next_token_probs(torch.stack([p, p]), q[None], 0)
        torch.testing.assert_close(kept + (1 - kept.sum()) * residual, p)


def test_counts_of_the_kept_or_corrected_token_follow_the_target():
    p, q = torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 2), torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    generator, counts, draws = torch.Generator().manual_seed(1), torch.zeros(4), 8000
    for _ in range(draws):
        drafted = sample(q, generator)
        kept = accept(p, q, drafted, torch.rand(1, generator=generator))
        counts[drafted[0] if kept else sample(next_token_probs(p, q, 0), generator)] += 1
    assert chisquare(counts.double(), draws * p[0].double() / p[0].double().sum()).pvalue > 1e-4


def test_equal_distributions_keep_every_token_and_add_the_bonus():
    q = torch.full((5, 7), 1 / 7)
    p = torch.cat([q, torch.eye(7)[3:4]])
    assert accept(p, q, torch.arange(5), torch.full((5,), 0.999999)) == 5
    assert torch.equal(next_token_probs(p, q, 5), p[5])
