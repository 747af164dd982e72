"""Our T5 against its twin, transformers' T5ForConditionalGeneration, and its cached decoder against the whole pass."""

import copy

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import T5Config as TheirConfig
from transformers import T5ForConditionalGeneration

from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cross_cache import CachedDecoder
from nimblelm.language.t5 import T5, WEIGHT_NAMES, from_t5
from nimblelm.nn.checkpoint import load, load_weights, save
from nimblelm.nn.weight_names import renamed
from tests.language.perturbed import PRECISIONS, padding, perturbed, tokens_of

SHAPES = [(3, 5, 24, 2, 1), (1, 8, 7, 1, 3), (4, 3, 10, 3, 2)]  # heads, head_dim, width, encoder and decoder layers


def twin_of(heads=3, head_dim=5, width=24, layers=2, decoder_layers=3, **changes) -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    config = TheirConfig(
        **{
            "vocab_size": 61,
            "d_model": width,
            "d_kv": head_dim,
            "d_ff": 20,
            "num_layers": layers,
            "num_decoder_layers": decoder_layers,
            "num_heads": heads,
            "relative_attention_num_buckets": 12,
            "relative_attention_max_distance": 17,
            "layer_norm_epsilon": 1e-3,
            "decoder_start_token_id": 0,
            **changes,
        }
    )
    return perturbed(T5ForConditionalGeneration(config))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("side", ["right", "left"])
@torch.no_grad()
def test_logits_agree_with_the_twin_beside_padding(shape, dtype, tolerance, side):
    twin = twin_of(*shape).to(dtype)
    source, tokens, is_token = tokens_of(61, 3, 41), tokens_of(61, 3, 37, seed=3), padding([41, 1, 20], 41, side)
    want = twin(source, attention_mask=is_token.long(), decoder_input_ids=tokens).logits
    got = from_t5(twin)(source, tokens, is_token)
    torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_the_cached_decoder_equals_the_uncached_one_in_blocks_and_after_taking_back(shape):
    model = from_t5(twin_of(*shape))
    source, tokens, is_token = tokens_of(61, 1, 13), tokens_of(61, 31, seed=3), padding([9], 13, "right")
    want = model(source, tokens[None], is_token)[0]
    cached = CachedDecoder(model, model.encode(source, is_token), 31, is_token)
    cached.cache.keys.fill_(float("nan"))
    cached.cache.values.fill_(float("nan"))
    cached(tokens[:7], 0)
    cached((tokens[7:20] + 1) % 61, 7)
    for start, end in ((7, 8), (8, 20), (20, 31)):
        torch.testing.assert_close(cached(tokens[start:end], start), want[start:end], atol=1e-10, rtol=1e-10)
    with pytest.raises(ValueError, match="the limit is 31"):
        cached(tokens[:2], 30)


@torch.no_grad()
def test_greedy_outputs_are_those_of_the_twin():
    twin = twin_of()
    source = tokens_of(61, 1, 13)
    want = twin.generate(source, max_new_tokens=12, min_new_tokens=12, do_sample=False, use_cache=False)[0, 1:]
    model = from_t5(twin)
    got = generate(CachedDecoder(model, model.encode(source), 12), torch.tensor([0]), 12)
    assert torch.equal(got, want)


def test_gradients_agree_with_the_twin():
    twin = twin_of()
    model, source, labels = from_t5(copy.deepcopy(twin)), tokens_of(61, 2, 11), tokens_of(61, 2, 9, seed=3)
    twin(source, labels=labels).loss.backward()
    shifted = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1]], dim=1)
    F.cross_entropy(model(source, shifted).flatten(0, 1), labels.flatten()).backward()
    want = renamed({n: p.grad for n, p in twin.named_parameters()}, WEIGHT_NAMES)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-8)


@torch.no_grad()
def test_weights_are_read_from_the_file_that_the_twin_saves_and_from_our_own(tmp_path):
    twin = twin_of()
    twin.save_pretrained(tmp_path)
    source, tokens = tokens_of(61, 2, 11), tokens_of(61, 2, 9, seed=3)
    model = T5(from_t5(twin).config).double().eval()
    load_weights(model, renamed(load_file(tmp_path / "model.safetensors"), WEIGHT_NAMES))
    torch.testing.assert_close(
        model(source, tokens), twin(source, decoder_input_ids=tokens).logits, atol=1e-10, rtol=1e-10
    )
    save(model.float(), tmp_path / "t5.safetensors")
    assert torch.equal(load(T5, tmp_path / "t5.safetensors")(source, tokens), model(source, tokens))


def test_versions_that_we_do_not_have_are_refused():
    with pytest.raises(ValueError, match="gated-gelu"):
        from_t5(twin_of(feed_forward_proj="gated-gelu"))
