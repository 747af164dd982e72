"""The pair for timing: same weights every time, and a draft that is good but not perfect."""

import torch

from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats
from nimblelm.inference.speculative.agreeing_pair import agreeing_pair
from nimblelm.inference.speculative.decoder import speculative_generate


def test_most_drafts_are_kept_and_some_are_not():
    pair = agreeing_pair()
    target, draft = CachedModel(pair.target), CachedModel(pair.draft)
    rounds = []
    for seed in range(3):
        prompt = torch.randint(1024, (48,), generator=torch.Generator().manual_seed(seed))
        output = speculative_generate(target, draft, prompt, 48, 5)
        assert torch.equal(output.tokens, generate(target, prompt, 48))
        rounds += output.rounds
    assert 0.75 < AcceptanceStats.from_rounds(rounds).acceptance_rate < 0.98


def test_the_weights_come_from_the_seed_alone():
    one, two = agreeing_pair(num_layers=2), agreeing_pair(num_layers=2)
    other = agreeing_pair(num_layers=2, seed=1)
    tokens = torch.arange(8)[None]
    assert torch.equal(one.target(tokens), two.target(tokens))
    assert not torch.equal(one.target(tokens), other.target(tokens))
