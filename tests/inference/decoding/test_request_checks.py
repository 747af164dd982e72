"""What a decoder cannot serve it refuses before any model has run."""

import pytest
import torch

from nimblelm.inference.batched.autoregressive import AutoregressiveDecoder
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.speculative import SpeculativeDecoder
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.inference.decoding.quantized_cache import QuantizedKVCache
from nimblelm.inference.decoding.request_checks import check_tokens
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.medusa.decoder import medusa_generate
from nimblelm.inference.medusa.heads import MedusaConfig, MedusaHeads
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.speculative.adaptive_length import AdaptiveLength
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.inference.speculative.markov import MarkovModel
from nimblelm.inference.speculative.prompt_lookup import prompt_lookup_generate
from nimblelm.inference.speculative.rounds import DraftBlock, check_block, speculative_round
from nimblelm.language.llama import Llama, LlamaConfig

ROWS = 32


def transformer(vocab_size: int = 50, d_model: int = 16) -> Llama:
    config = LlamaConfig(vocab_size, d_model, 1, 2, 1, 16, max_seq_len=ROWS, tie_embeddings=False)
    return Llama(config).eval().requires_grad_(False)


MODEL = transformer()
TREE = CandidateTree(((0,), (0, 0)))
SAMPLER = DeviceSampler(GREEDY, torch.Generator())


def autoregressive(prompt, count, eos_token):
    return generate(CachedModel(MODEL), prompt, count, eos_token=eos_token)


def in_int8(prompt, count, eos_token):
    return generate(CachedModel(MODEL, allocate=QuantizedKVCache.allocate), prompt, count, eos_token=eos_token)


def speculative(prompt, count, eos_token):
    return speculative_generate(CachedModel(MODEL), CachedModel(MODEL), prompt, count, 3, eos_token=eos_token)


def lookup(prompt, count, eos_token):
    return prompt_lookup_generate(CachedModel(MODEL), prompt, count, 3, eos_token=eos_token)


def heads_of(*shape: int) -> MedusaHeads:
    return MedusaHeads(MedusaConfig(*shape))


def medusa(prompt, count, eos_token):
    return medusa_generate(CachedModel(MODEL), heads_of(2, 16, 50), TREE, prompt, count, eos_token=eos_token)


def batched(prompt, count, eos_token):
    return AutoregressiveDecoder(StaticModel(MODEL), SAMPLER, eos_token).generate([prompt], count)


def batched_speculative(prompt, count, eos_token):
    models = StaticModel(MODEL), StaticModel(MODEL)
    return SpeculativeDecoder(*models, SAMPLER, [2], eos_token).generate([prompt], count, 2)


DECODERS = [autoregressive, in_int8, speculative, lookup, medusa, batched, batched_speculative]
PROMPT = torch.arange(6)


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """Lengths of the passes that models ran."""
    seen, states = [], Llama.states

    def counted(self, tokens, *arguments):
        seen.append(tokens.shape[1])
        return states(self, tokens, *arguments)

    monkeypatch.setattr(Llama, "states", counted)
    return seen


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("prompt", "count", "eos_token", "message"),
    [
        (PROMPT, ROWS, None, f"the cache holds {ROWS}"),
        (torch.arange(ROWS + 1), 1, None, f"the cache holds {ROWS}"),
        (torch.tensor([3, 50]), 4, None, "from 3 to 50 reach outside of the vocabulary, 0 to 49"),
        (torch.tensor([-1, 5]), 4, None, "from -1 to 5 reach outside"),
        (torch.tensor([], dtype=torch.int64), 4, None, "holds 0 tokens"),
        (PROMPT, 0, None, "max_new_tokens 0"),
        (PROMPT, 4, 50, "eos_token 50 is outside"),
        (PROMPT, 4, -1, "eos_token -1 is outside"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_before_any_pass(decoder, prompt, count, eos_token, message, passes):
    with pytest.raises(ValueError, match=message):
        decoder(prompt, count, eos_token)
    assert not passes


@pytest.mark.parametrize("decoder", [autoregressive, in_int8, speculative, lookup])
def test_the_last_row_of_a_cache_can_be_used(decoder, passes):
    output = decoder(PROMPT, ROWS - len(PROMPT) + 1, None)
    assert len(output if torch.is_tensor(output) else output.tokens) == ROWS - len(PROMPT) + 1
    with pytest.raises(ValueError, match="take 33 rows"):
        decoder(PROMPT, ROWS - len(PROMPT) + 2, None)


def test_models_of_different_vocabularies_are_refused_with_both_sizes(passes):
    target, draft = CachedModel(MODEL), CachedModel(transformer(47))
    for sampling in (GREEDY, Sampling(1.0)):
        for prompt in (PROMPT, PROMPT[:1]):
            with pytest.raises(ValueError, match=r"\[50, 47\]"):
                speculative_generate(target, draft, prompt, 8, 3, sampling, torch.Generator())
    with pytest.raises(ValueError, match=r"\[50, 47\]"):
        SpeculativeDecoder(StaticModel(MODEL), StaticModel(transformer(47)), SAMPLER, [2])
    with pytest.raises(ValueError, match=r"\[3, 2\]"):
        speculative_generate(MarkovModel(torch.eye(3)), MarkovModel(torch.eye(2)), torch.tensor([0]), 3, 2)
    assert not passes


def test_a_round_refuses_a_draft_over_another_vocabulary():
    """Also where a model is any callable, of which nothing is known before it is called."""
    target, draft = (lambda tokens, position, size=size: torch.zeros(len(tokens), size) for size in (5, 4))
    with pytest.raises(ValueError, match="the draft knows 4 tokens, the target 5"):
        speculative_round(target, draft, torch.tensor([0]), 2)
    with pytest.raises(ValueError, match="the draft knows 4 tokens, the target 5"):
        check_block(target, torch.tensor([0]), DraftBlock(torch.tensor([1]), torch.full((1, 4), 0.25)))
    with pytest.raises(ValueError, match="draft_length -1"):
        speculative_round(target, target, torch.tensor([0]), -1)
    with pytest.raises(ValueError, match="0 tokens"):
        speculative_round(target, target, torch.tensor([], dtype=torch.int64), 2)
    with pytest.raises(ValueError, match="0 tokens"):
        check_block(target, torch.tensor([], dtype=torch.int64), DraftBlock(torch.tensor([1]), None))


def test_adaptive_lengths_that_were_not_announced_are_refused_before_any_pass(passes):
    decoder = SpeculativeDecoder(StaticModel(MODEL), StaticModel(MODEL), SAMPLER, [2, 3])
    with pytest.raises(ValueError, match=r"draft_length 9 is none of \[2, 3\]"):
        decoder.generate([PROMPT], 5, AdaptiveLength({2: 5.0, 9: 1.0}))
    with pytest.raises(ValueError, match=r"draft_length 4 is none of \[2, 3\]"):
        decoder.generate([PROMPT], 5, 4)
    assert not passes


@pytest.mark.parametrize("text_length", [-3, 0, 1, ROWS - 2, ROWS + 5])
def test_costs_are_measured_where_rounds_stay_inside_of_the_cache(text_length):
    decoder = SpeculativeDecoder(StaticModel(MODEL), StaticModel(MODEL), SAMPLER, [2, 3])
    with pytest.raises(ValueError, match=f"text_length {text_length} must lie between 2 and 29"):
        decoder.round_costs(text_length, repeats=1)


@pytest.mark.parametrize(
    ("heads", "tree", "message"),
    [
        (heads_of(2, 8, 50), TREE, r"\(8, 50\), the target \(16, 50\)"),
        (heads_of(2, 16, 47), TREE, r"\(16, 47\), the target \(16, 50\)"),
        (heads_of(1, 16, 50), TREE, "1 guesses of 2 heads, there are 1 heads"),
        (
            heads_of(2, 16, 50),
            CandidateTree(((50,),)),
            "51 guesses of 1 heads, there are 2 heads over 50",
        ),
    ],
)
def test_heads_or_trees_that_do_not_fit_are_refused_before_any_pass(heads, tree, message, passes):
    with pytest.raises(ValueError, match=message):
        medusa_generate(CachedModel(MODEL), heads, tree, PROMPT, 4)
    assert not passes


def test_prompt_lookup_looks_at_its_settings_before_any_pass(passes):
    for settings, message in (({"draft_length": 2, "max_ngram": 0}, "max_ngram 0"), ({"draft_length": -1}, "-1")):
        with pytest.raises(ValueError, match=message):
            prompt_lookup_generate(CachedModel(MODEL), PROMPT, 4, **settings)
    assert not passes


@pytest.mark.parametrize(
    "make",
    [
        CachedModel,
        lambda model, rows: CachedModel(model, rows, QuantizedKVCache.allocate),
        lambda model, rows: StaticModel(model, 1, rows),
    ],
)
@pytest.mark.parametrize("rows", [0, -1, ROWS + 1])
def test_a_cache_has_the_rows_that_are_asked_for_or_is_refused(make, rows):
    """0 rows are not the default."""
    with pytest.raises(ValueError, match=f"max_seq_len {rows}"):
        make(MODEL, rows)
    assert make(MODEL, 5).max_seq_len == 5
    assert make(MODEL, None).max_seq_len == ROWS


def test_a_batch_has_a_row():
    with pytest.raises(ValueError, match="batch_size 0"):
        KVCache.allocate(MODEL, 4, 0)


def test_logits_that_are_no_distribution_end_a_decoder():
    broken = transformer()
    broken.head.weight[3] = torch.nan
    for sampling in (GREEDY, Sampling(1.0)):
        with pytest.raises(ValueError, match="not a probability distribution"):
            generate(CachedModel(broken), PROMPT, 3, sampling)
        with pytest.raises(ValueError, match="not a probability distribution"):
            speculative_generate(CachedModel(broken), CachedModel(MODEL), PROMPT, 3, 2, sampling)
        with pytest.raises(ValueError, match="not a probability distribution"):
            AutoregressiveDecoder(StaticModel(broken), DeviceSampler(sampling, torch.Generator())).generate([PROMPT], 3)


def test_no_tokens_are_all_of_the_vocabulary():
    check_tokens(torch.zeros(0, dtype=torch.int64), 5)
