"""Speculative decoding: greedy equality, the joint distribution, identities, the caches, the end of text."""

import pytest
import torch

from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, probabilities
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.inference.speculative.markov import MarkovModel
from nimblelm.language.llama import Llama, LlamaConfig
from tests.inference.models import AuditedModel, assert_joint_distribution, random_table


def transformer(num_layers: int, seed: int) -> Llama:
    torch.manual_seed(seed)
    model = Llama(LlamaConfig(50, 32, num_layers, 4, 2, 48, max_seq_len=128))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def similar_pair() -> tuple[Llama, Llama]:
    """A target and a draft that agree often but not always."""
    target, draft = transformer(2, 0), transformer(2, 0)
    with torch.no_grad():
        draft.head.weight.add_(0.05 * torch.randn(draft.head.weight.shape, generator=torch.Generator().manual_seed(5)))
    return target, draft


@pytest.mark.parametrize("draft_length", [0, 1, 2, 5, 30])
@pytest.mark.parametrize("prompt_length", [1, 2, 17])
def test_greedy_tokens_equal_autoregressive_tokens(draft_length, prompt_length):
    target, draft = similar_pair()
    prompt = torch.randint(50, (prompt_length,), generator=torch.Generator().manual_seed(prompt_length))
    expected = generate(CachedModel(target), prompt, 60)
    output = speculative_generate(CachedModel(target), CachedModel(draft), prompt, 60, draft_length)
    assert torch.equal(output.tokens, expected)
    kept = sum(r.num_accepted for r in output.rounds)
    assert sum(len(r.tokens) for r in output.rounds) == 60 == kept + len(output.rounds)


def three_tokens(draws: int, draft_length: int, sampling: Sampling) -> list[list[int]]:
    """Continuations of token 2; drawn in a process that checks no types, which takes a fourth of the time."""
    target, draft = MarkovModel(random_table(4, 0)), MarkovModel(random_table(4, 1))
    rng = torch.Generator().manual_seed(7)
    request = target, draft, torch.tensor([2]), 3, draft_length, sampling, rng
    return [speculative_generate(*request).tokens.tolist() for _ in range(draws)]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.6, top_k=3), Sampling(top_p=0.7)])
@pytest.mark.parametrize("draft_length", [1, 3])
def test_joint_distribution_of_three_tokens_is_the_targets(sampling, draft_length, interpreted):
    drawn = interpreted(three_tokens, 3000, draft_length, sampling)
    table = probabilities(MarkovModel(random_table(4, 0)).logits, sampling)
    assert_joint_distribution(drawn, table, first=2)


def test_a_draft_equal_to_the_target_keeps_every_token():
    target = transformer(2, 0)
    for sampling in (GREEDY, Sampling()):
        generator = torch.Generator().manual_seed(0)
        output = speculative_generate(
            CachedModel(target), CachedModel(target), torch.arange(5), 36, 5, sampling, generator
        )
        assert [r.num_accepted for r in output.rounds] == [5] * 6


def test_a_draft_that_never_agrees_changes_nothing():
    table = random_table(6, 3)
    target, draft = MarkovModel(table), MarkovModel(table.flip(1).roll(1, 1))
    expected = generate(target, torch.tensor([0]), 20)
    wrong = MarkovModel(torch.nn.functional.one_hot((table.argmax(1) + 1) % 6, 6).float() + 1e-9)
    output = speculative_generate(target, wrong, torch.tensor([0]), 20, 4)
    assert torch.equal(output.tokens, expected)
    assert all(r.num_accepted == 0 for r in output.rounds)
    assert torch.equal(speculative_generate(target, draft, torch.tensor([0]), 20, 4).tokens, expected)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling()])
def test_both_caches_hold_exactly_the_kept_tokens_after_each_run(sampling):
    target, draft = similar_pair()
    audited_target, audited_draft = AuditedModel(CachedModel(target)), AuditedModel(CachedModel(draft))
    prompt = torch.arange(9)
    generator = torch.Generator().manual_seed(2)
    output = speculative_generate(audited_target, audited_draft, prompt, 50, 4, sampling, generator)
    sequence = torch.cat([prompt, output.tokens]).tolist()
    assert audited_target.rows[: len(sequence) - 1] == sequence[:-1]
    drafted = len(sequence) - 2 - (len(output.rounds[-1].draft_tokens) == 0)  # a last round may have drafted nothing
    assert audited_draft.rows[:drafted] == sequence[:drafted]
    assert audited_target.passes == len(output.rounds) + 1
    assert 0 < sum(r.num_accepted for r in output.rounds) < sum(len(r.draft_tokens) for r in output.rounds)


def test_the_cache_after_a_run_gives_the_logits_of_a_fresh_prefill():
    target, draft = similar_pair()
    cached = CachedModel(target)
    output = speculative_generate(cached, CachedModel(draft), torch.arange(9), 40, 4)
    sequence = torch.cat([torch.arange(9), output.tokens])
    last = cached(sequence[-1:], len(sequence) - 1)[0]
    torch.testing.assert_close(last, target(sequence[None])[0, -1], atol=1e-5, rtol=1e-5)


def test_the_end_of_text_cuts_a_block_in_the_middle():
    target, draft = transformer(2, 0), transformer(2, 0)
    prompt = torch.arange(5)
    free = generate(CachedModel(target), prompt, 30)
    for eos in free[:12].unique().tolist():
        expected = generate(CachedModel(target), prompt, 30, eos_token=eos)
        output = speculative_generate(CachedModel(target), CachedModel(draft), prompt, 30, 7, eos_token=eos)
        assert torch.equal(output.tokens, expected)
        assert output.tokens[-1] == eos


def test_bad_requests_are_refused_with_their_value():
    model = MarkovModel(random_table(4, 0))
    with pytest.raises(ValueError, match="draft_length -1"):
        speculative_generate(model, model, torch.tensor([0]), 3, -1)
    with pytest.raises(ValueError, match="max_new_tokens 0"):
        generate(model, torch.tensor([0]), 0)
    with pytest.raises(ValueError, match="prompt holds 0"):
        generate(model, torch.tensor([], dtype=torch.long), 3)
