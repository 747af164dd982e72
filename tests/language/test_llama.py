"""Our transformer against its twin, transformers' LlamaForCausalLM."""

import copy
import itertools

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.language.llama import Llama, from_llama, to_llama
from nimblelm.language.llama import LlamaConfig as OurConfig

SHAPES = list(itertools.product([(4, 4), (6, 2), (8, 1)], [True, False]))


def random_twin(heads=(6, 2), tied=False, seed=0, **changes) -> LlamaForCausalLM:
    """A tiny Llama in which every parameter was perturbed, so that no term is silent."""
    config = LlamaConfig(
        **{
            "vocab_size": 97,
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 3,
            "num_attention_heads": heads[0],
            "num_key_value_heads": heads[1],
            "max_position_embeddings": 64,
            "tie_word_embeddings": tied,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
            "rms_norm_eps": 1e-3,
            **changes,
        }
    )
    torch.manual_seed(seed)
    twin = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # at 0.2 rounding alone moves logits by 1e-5
    return twin


@pytest.mark.parametrize(("heads", "tied"), SHAPES)
@torch.no_grad()
def test_logits_agree_with_the_twin_uncached(heads, tied):
    twin = random_twin(heads, tied)
    tokens = torch.randint(97, (3, 41), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(from_llama(twin)(tokens), twin(tokens).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@torch.no_grad()
def test_a_model_back_from_half_precision_turns_by_exact_angles(dtype):
    """It equals a float32 model with the rounded weights, and so does one whose memory was empty before."""
    model = from_llama(random_twin())
    fresh = Llama(model.config)
    angles = fresh.rotary.clone()
    back = copy.deepcopy(model).to(dtype).float()
    fresh.load_state_dict(back.state_dict())
    tokens = torch.randint(97, (2, 60), generator=torch.Generator().manual_seed(1))
    assert torch.equal(back(tokens), fresh(tokens))
    with torch.device("meta"):
        empty = Llama(model.config)
    assert torch.equal(empty.to_empty(device="cpu").rotary, angles)


@pytest.mark.parametrize(("heads", "tied"), SHAPES)
@torch.no_grad()
def test_logits_agree_with_the_twin_through_the_cache(heads, tied):
    twin = random_twin(heads, tied)
    model = from_llama(twin)
    tokens = torch.randint(97, (2, 41), generator=torch.Generator().manual_seed(1))
    cache = KVCache.allocate(model, 64, batch_size=2)
    for part in cache:
        part.fill_(float("nan"))  # a row that was not written must not be read
    cuts = [0, 7, 8, 9, 20, 40, 41]  # a prefill, single steps, blocks
    logits = [model(tokens[:, a:b], cache.at(a, b - a)) for a, b in itertools.pairwise(cuts)]
    torch.testing.assert_close(torch.cat(logits, dim=1), twin(tokens).logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_rolling_back_to_a_position_forgets_what_came_after():
    model = from_llama(random_twin())
    tokens = torch.randint(97, (30,), generator=torch.Generator().manual_seed(2))
    wrong = (tokens + 1) % 97
    cached = CachedModel(model, 40)
    cached(tokens[:10], 0)
    cached(wrong[10:25], 10)
    torch.testing.assert_close(cached(tokens[10:], 10), model(tokens[None])[0, 10:], atol=1e-5, rtol=1e-5)


def test_a_block_past_the_cache_is_refused_with_both_numbers():
    cached = CachedModel(from_llama(random_twin()), 16)
    with pytest.raises(ValueError, match=r"position 17.*limit is 16"):
        cached(torch.zeros(17, dtype=torch.long), 0)
    with pytest.raises(ValueError, match=r"65.*64"):
        CachedModel(from_llama(random_twin()), 65)


def test_configurations_that_we_do_not_have_are_refused():
    with pytest.raises(ValueError, match="biases"):
        from_llama(random_twin(attention_bias=True))
    with pytest.raises(ValueError, match="gelu"):
        from_llama(random_twin(hidden_act="gelu"))
    untied = random_twin(tied=True)
    untied.lm_head.weight = torch.nn.Parameter(untied.lm_head.weight + 1)
    with pytest.raises(ValueError, match=r"head.weight differs from embedding.weight"):
        from_llama(untied)
    with pytest.raises(ValueError, match="every size must be 1 or more"):
        OurConfig(9, 8, 1, 2, 2, 8, d_head=0)


@pytest.mark.parametrize(("heads", "tied"), SHAPES)
@torch.no_grad()
def test_weights_survive_the_way_there_and_back(heads, tied):
    twin = random_twin(heads, tied)
    tokens = torch.randint(97, (2, 20), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(to_llama(from_llama(twin))(tokens).logits, twin(tokens).logits)
