"""Copies from the sequence: found where brute force finds them, and harmless to the distribution."""

import itertools

import pytest
import torch

from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import Sampling
from nimblelm.inference.speculative.markov import MarkovModel
from nimblelm.inference.speculative.prompt_lookup import look_up, prompt_lookup_generate
from tests.inference.models import assert_joint_distribution, random_table, varied_pair


def by_hand(sequence: list[int], draft_length: int, max_ngram: int) -> list[int]:
    """The definition, read from left to right."""
    best = (0, 0, [])
    for begin, size in itertools.product(range(len(sequence)), range(1, max_ngram + 1)):
        end = begin + size
        if end < len(sequence) and sequence[begin:end] == sequence[-size:]:
            best = max(best, (size, begin, sequence[end : end + draft_length]))
    return best[2]


@pytest.mark.parametrize("max_ngram", [1, 2, 3, 5])
@pytest.mark.parametrize("draft_length", [0, 1, 4, 50])
def test_copies_are_those_of_brute_force(max_ngram, draft_length):
    generator, found = torch.Generator().manual_seed(max_ngram), 0
    for length in range(1, 40):
        sequence = torch.randint(4, (length,), generator=generator)
        copy = look_up(sequence, draft_length, max_ngram).tolist()
        assert copy == by_hand(sequence.tolist(), draft_length, max_ngram)
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


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_prompt_of_int32_gives_the_tokens_of_int64(temperature):
    model, sampling = varied_pair()[0], Sampling(temperature)
    prompt = torch.randint(50, (11,), generator=torch.Generator().manual_seed(1)).repeat(3)
    first, second = (
        prompt_lookup_generate(CachedModel(model), p, 20, 4, sampling, torch.Generator().manual_seed(0)).tokens
        for p in (prompt, prompt.int())
    )
    assert torch.equal(first, second)


def three_tokens(draws: int, prompt: list[int], sampling: Sampling) -> tuple[list[list[int]], int]:
    """Continuations, and how many of their tokens were drafted; drawn in a process that checks no types."""
    rng = torch.Generator().manual_seed(7)
    request = MarkovModel(random_table(4, 0)), torch.tensor(prompt), 3, 2, sampling, rng
    outputs = [prompt_lookup_generate(*request) for _ in range(draws)]
    return [output.tokens.tolist() for output in outputs], sum(r.num_accepted for o in outputs for r in o.rounds)


def test_joint_distribution_of_three_tokens_is_the_targets(interpreted):
    drawn, kept = interpreted(three_tokens, 3000, [0, 1, 2, 3, 2, 1, 0, 1], Sampling(temperature=0.8))
    table = (MarkovModel(random_table(4, 0)).logits / 0.8).softmax(-1)
    assert_joint_distribution(drawn, table, first=1)
    assert kept > len(drawn) / 10


def test_bad_requests_are_refused_with_their_value():
    with pytest.raises(ValueError, match="draft_length -1"):
        look_up(torch.arange(3), -1)
    with pytest.raises(ValueError, match="max_ngram 0"):
        look_up(torch.arange(3), 2, 0)
