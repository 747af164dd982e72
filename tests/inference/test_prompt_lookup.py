"""Copies from the text: found where brute force finds them, and harmless to the law."""

import itertools

import pytest
import torch
from scipy.stats import chisquare

from nimblelm.inference.autoregressive import generate
from nimblelm.inference.cache import CachedModel
from nimblelm.inference.markov import MarkovModel
from nimblelm.inference.prompt_lookup import look_up, prompt_lookup_generate
from nimblelm.inference.sampling import Sampling
from tests.inference.models import random_table, varied_pair


def by_hand(text: list[int], draft_length: int, max_ngram: int) -> list[int]:
    """The definition, read from left to right."""
    best = (0, 0, [])
    for begin, size in itertools.product(range(len(text)), range(1, max_ngram + 1)):
        end = begin + size
        if end < len(text) and text[begin:end] == text[-size:]:
            best = max(best, (size, begin, text[end : end + draft_length]))
    return best[2]


@pytest.mark.parametrize("max_ngram", [1, 2, 3, 5])
@pytest.mark.parametrize("draft_length", [0, 1, 4, 50])
def test_copies_are_those_of_brute_force(max_ngram, draft_length):
    generator, found = torch.Generator().manual_seed(max_ngram), 0
    for length in range(1, 40):
        text = torch.randint(4, (length,), generator=generator)
        copy = look_up(text, draft_length, max_ngram).tolist()
        assert copy == by_hand(text.tolist(), draft_length, max_ngram)
        found += len(copy) > 0
    assert (found > 20) == (draft_length > 0)


def test_a_text_of_new_tokens_gives_no_copy():
    assert len(look_up(torch.arange(9), 4)) == 0
    assert len(look_up(torch.tensor([3]), 4)) == 0


@pytest.mark.parametrize("draft_length", [0, 1, 6])
def test_greedy_tokens_equal_autoregressive_tokens(draft_length):
    model = varied_pair()[0]
    prompt = torch.randint(50, (11,), generator=torch.Generator().manual_seed(1)).repeat(3)
    expected = generate(CachedModel(model), prompt, 60)
    output = prompt_lookup_generate(CachedModel(model), prompt, 60, draft_length)
    assert torch.equal(output.tokens, expected)
    assert (sum(r.num_accepted for r in output.rounds) > 0) == (draft_length > 0)
    end = int(expected[7])
    cut = prompt_lookup_generate(CachedModel(model), prompt, 60, draft_length, eos_token=end).tokens
    assert torch.equal(cut, generate(CachedModel(model), prompt, 60, eos_token=end))


def test_joint_law_of_three_tokens_is_the_targets():
    target = MarkovModel(random_table(4, 0))
    law, prompt, draws = Sampling(temperature=0.8), torch.tensor([0, 1, 2, 3, 2, 1, 0, 1]), 3000
    p = (target.logits / law.temperature).softmax(-1).double()
    counts, generator, kept = torch.zeros(4, 4, 4), torch.Generator().manual_seed(7), 0
    for _ in range(draws):
        output = prompt_lookup_generate(target, prompt, 3, 2, law, generator)
        a, b, c = output.tokens
        counts[a, b, c] += 1
        kept += sum(r.num_accepted for r in output.rounds)
    expected = torch.stack([p[1, a] * p[a, b] * p[b, c] for a, b, c in itertools.product(range(4), repeat=3)])
    assert chisquare(counts.flatten().double(), draws * expected / expected.sum()).pvalue > 1e-6
    assert kept > draws / 10


def test_bad_requests_are_refused_with_their_value():
    with pytest.raises(ValueError, match="draft_length -1"):
        look_up(torch.arange(3), -1)
    with pytest.raises(ValueError, match="max_ngram 0"):
        look_up(torch.arange(3), 2, 0)
