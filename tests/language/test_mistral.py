"""Our sliding-window decoder against its twin, transformers' MistralForCausalLM, and streamed through a ring."""

import itertools
import random

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import MistralConfig as TheirConfig
from transformers import MistralForCausalLM

from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.ring_cache import RingCache
from nimblelm.inference.medusa.decoder import medusa_generate
from nimblelm.inference.medusa.heads import MedusaConfig, MedusaHeads
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.tree_cache import tree_states
from nimblelm.inference.serving.paged_cache import PagedKVCache
from nimblelm.inference.serving.ragged_batch import TokenBlock, ragged_forward
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.language.llama import WEIGHT_NAMES, from_llama, to_llama
from nimblelm.language.mistral import Mistral, from_mistral
from nimblelm.nn.attend import Past, band, masked
from nimblelm.nn.checkpoint import load, load_weights, save
from nimblelm.nn.weight_names import renamed
from tests.language.perturbed import PRECISIONS, padding, perturbed, tokens_of

SHAPES = [(3, 1, 6, 20, 5), (8, 8, 4, 24, 1), (8, 2, 10, 32, 16)]  # heads, kv heads, head_dim, width, window


def twin_of(heads=3, kv_heads=1, head_dim=6, width=20, window=5, **changes) -> MistralForCausalLM:
    torch.manual_seed(0)
    config = TheirConfig(
        vocab_size=61,
        hidden_size=width,
        intermediate_size=29,
        num_hidden_layers=3,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        max_position_embeddings=64,
        sliding_window=window,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        rms_norm_eps=1e-3,
        **changes,
    )
    twin = perturbed(MistralForCausalLM(config))
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    twin.model.rotary_emb.inv_freq = 500.0**-exponents  # rounded as ours are: theirs is 1 / 500 ** exponents
    return twin


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_logits_agree_with_the_twin_beyond_the_window(shape, dtype, tolerance):
    twin, tokens = twin_of(*shape).to(dtype), tokens_of(61, 3, 41)
    torch.testing.assert_close(from_mistral(twin)(tokens), twin(tokens).logits, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("side", ["right", "left"])
@torch.no_grad()
def test_logits_agree_with_the_twin_beside_padding(side):
    twin, tokens, is_token = twin_of(), tokens_of(61, 3, 19), padding([19, 2, 11], 19, side)
    model, positions = from_mistral(twin), (is_token.cumsum(1) - 1).clamp(min=0)
    want = twin(tokens, attention_mask=is_token.long(), position_ids=positions).logits
    attend = masked(band(19, 19, 5) & is_token[:, None, None, :])
    got = model(tokens, Past([attend] * 3, positions))
    torch.testing.assert_close(got[is_token], want[is_token], atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("cuts", [[0, 41], [0, *range(1, 42)], [0, 7, 8, 9, 20, 40, 41], [0, 3, 6, 33, 41]])
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_a_stream_through_the_ring_equals_the_whole_sequence(shape, cuts):
    model, tokens = from_mistral(twin_of(*shape)), tokens_of(61, 2, 41)
    ring = RingCache.allocate(model, model.config.window, batch_size=2)
    pieces = [model(tokens[:, a:b], ring.at(a, b - a)) for a, b in itertools.pairwise(cuts)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_static_ring_and_speculative_decoding_write_the_same_tokens():
    model, prompt = from_mistral(twin_of().float()), tokens_of(61, 9)
    static = generate(CachedModel(model), prompt, 40)
    for rows in (5, 9, 64):
        assert torch.equal(generate(CachedModel(model, rows, RingCache.allocate), prompt, 40), static)
    target, draft = (CachedModel(model, 5 + 6, RingCache.allocate) for _ in range(2))
    assert torch.equal(speculative_generate(target, draft, prompt, 40, 4).tokens, static)


@torch.no_grad()
def test_a_ring_takes_back_as_many_tokens_as_it_has_rows_beside_the_window():
    model, tokens = from_mistral(twin_of()), tokens_of(61, 1, 40)
    ring = RingCache.allocate(model, 5 + 3)
    model(tokens[:, :30], ring.at(0, 30))
    torch.testing.assert_close(
        model(tokens[:, 26:], ring.at(26, 14)), model(tokens)[:, 26:], atol=1e-10, rtol=1e-10
    )  # one back is free: the window holds the token itself
    model(tokens[:, :30], RingCache.allocate(model, 5).at(0, 30))
    for position in (35, 41, -1):
        with pytest.raises(ValueError, match=f"position {position} sees from"):
            ring.at(position, 1)
    with pytest.raises(ValueError, match="5 keys does not fit 4 rows"):
        RingCache.allocate(model, 4)


def passes_through(ring, model, tokens, position, length, fail_in=None):
    """A pass of the model over the stream's tokens, which fails in one layer if so asked."""
    past = ring.at(position, length)
    if fail_in is not None:
        past = past._replace(attends=[*past.attends[:fail_in], lambda *_: 1 / 0, *past.attends[fail_in + 1 :]])
    return model(tokens[:, position : position + length], past)


@torch.no_grad()
def test_a_ring_is_right_or_refuses_however_often_tokens_are_taken_back_and_passes_fail():
    model, tokens = from_mistral(twin_of()), tokens_of(61, 1, 64)
    want, served = model(tokens), 0
    for seed in range(25):
        choose = random.Random(seed)
        ring = RingCache.allocate(model, choose.randint(5, 9))
        for _ in range(20):
            position, length = max(0, ring.end - choose.choice([0, 0, 1, 2, 3, 6])), choose.choice([1, 1, 2, 3, 7])
            fail_in = choose.choice([None, None, None, 0, 1, 2])
            try:
                got = passes_through(ring, model, tokens, position, length, fail_in)
            except (ValueError, ZeroDivisionError):
                continue
            served += 1
            torch.testing.assert_close(got, want[:, position : position + length], atol=1e-10, rtol=1e-10)
    assert served > 100


@torch.no_grad()
def test_a_ring_from_which_tokens_were_taken_back_twice_knows_what_it_lost():
    model, tokens = from_mistral(twin_of(window=4)), tokens_of(61, 1, 64)
    ring = RingCache.allocate(model, 6)
    for position, length in ((0, 10), (7, 1)):
        passes_through(ring, model, tokens, position, length)
    with pytest.raises(ValueError, match="position 5 sees from 2 on, the ring holds 4 to 7"):
        ring.at(5, 1)


@torch.no_grad()
def test_what_a_ring_refuses_or_a_model_never_ran_changes_nothing():
    model, tokens = from_mistral(twin_of().float()), tokens_of(61, 64)
    cached, whole = CachedModel(model, 5, RingCache.allocate), model(tokens[None])[0]
    cached(tokens[:6], 0)
    for block, error in ((tokens, ValueError), (torch.tensor([999]), IndexError)):
        with pytest.raises(error):
            cached(block, 6)
    torch.testing.assert_close(cached(tokens[6:8], 6), whole[6:8], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_window_is_kept_or_the_model_refused():
    model, tokens = from_mistral(twin_of().float()), tokens_of(61, 20)
    (logits,) = ragged_forward(model, [TokenBlock("a", tokens)], PagedKVCache(model, 8, 4))
    torch.testing.assert_close(logits, model(tokens[None])[0, -1], atol=1e-4, rtol=1e-4)
    tree, heads = CandidateTree(((0,), (0, 0))), MedusaHeads(MedusaConfig(2, model.config.d_model, 61))
    cached = CachedModel(model)
    for refused in (
        lambda: StaticModel(model),
        lambda: tree_states(cached, tokens[:3], 0, tree.depths, tree.mask),
        lambda: medusa_generate(cached, heads, tree, tokens, 4),
    ):
        with pytest.raises(ValueError, match="the tokens of a Mistral see a window"):
            refused()


def test_llama_is_not_made_of_a_model_with_a_window_nor_the_other_way_round():
    with pytest.raises(ValueError, match="'mistral', a 'llama' is needed"):
        from_llama(twin_of())
    with pytest.raises(ValueError, match="Mistral do not see all"):
        to_llama(from_mistral(twin_of()))


def test_gradients_agree_with_the_twin():
    twin, tokens = twin_of(), tokens_of(61, 2, 19)
    model = from_mistral(twin)
    for one in (lambda x: twin(x).logits, model):
        F.cross_entropy(one(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    want = renamed({n: p.grad for n, p in twin.named_parameters()}, WEIGHT_NAMES)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-8)


@torch.no_grad()
def test_weights_are_read_from_the_file_that_the_twin_saves_and_from_our_own(tmp_path):
    twin, tokens = twin_of(), tokens_of(61, 2, 19)
    twin.save_pretrained(tmp_path)
    model = Mistral(from_mistral(twin).config).double().eval()
    load_weights(model, renamed(load_file(tmp_path / "model.safetensors"), WEIGHT_NAMES))
    torch.testing.assert_close(model(tokens), twin(tokens).logits, atol=1e-10, rtol=1e-10)
    save(model.float(), tmp_path / "mistral.safetensors")
    assert torch.equal(load(Mistral, tmp_path / "mistral.safetensors")(tokens), model(tokens))
