"""Our DistilBERT against its twin, transformers' DistilBertForMaskedLM."""

import copy

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import DistilBertConfig as TheirConfig
from transformers import DistilBertForMaskedLM

from nimblelm.language.distilbert import WEIGHT_NAMES, DistilBert, from_distilbert
from nimblelm.nn.attend import masked, recorded
from nimblelm.nn.checkpoint import load, load_weights, save
from nimblelm.nn.weight_names import renamed
from tests.language.perturbed import PRECISIONS, padding, perturbed, tokens_of

SHAPES = [(3, 24, 2, 20), (1, 10, 3, 7), (5, 35, 1, 64)]  # heads, width, layers, hidden width


def twin_of(heads=3, width=24, layers=2, d_ff=20, **changes) -> DistilBertForMaskedLM:
    torch.manual_seed(0)
    shape = {"dim": width, "n_layers": layers, "n_heads": heads, "hidden_dim": d_ff}
    return perturbed(DistilBertForMaskedLM(TheirConfig(vocab_size=61, max_position_embeddings=23, **shape, **changes)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("side", ["right", "left"])
@torch.no_grad()
def test_logits_agree_with_the_twin_beside_padding(shape, dtype, tolerance, side):
    twin = twin_of(*shape).to(dtype)
    tokens, is_token = tokens_of(61, 3, 17), padding([17, 1, 9], 17, side)
    want = twin(tokens, attention_mask=is_token.long()).logits
    got = from_distilbert(twin)(tokens, masked(is_token[:, None, None, :]))
    torch.testing.assert_close(got[is_token], want[is_token], atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_every_layer_and_every_attention_map_comes_out():
    twin = twin_of(attn_implementation="eager", sinusoidal_pos_embds=True)
    model, tokens, maps = from_distilbert(twin), tokens_of(61, 2, 11), []
    want = twin.distilbert(tokens, output_hidden_states=True, output_attentions=True)
    layers = list(model.layers(model.embed(tokens), recorded(maps)))
    for ours, theirs in zip([*layers, *maps], [*want.hidden_states, *want.attentions], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)
    plain = list(model.layers(model.embed(tokens)))[-1]
    assert torch.equal(model.states(model.embed(tokens)), plain)


def test_gradients_of_the_masked_loss_agree_with_the_twin():
    twin = twin_of()
    model, tokens = from_distilbert(copy.deepcopy(twin)), tokens_of(61, 2, 11)
    labels = tokens.where(tokens % 3 == 0, -100)
    twin(tokens, labels=labels).loss.backward()
    F.cross_entropy(model(tokens).flatten(0, 1), labels.flatten()).backward()
    want = renamed({n: p.grad for n, p in twin.named_parameters()}, WEIGHT_NAMES)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-8)


@torch.no_grad()
def test_weights_are_read_from_the_file_that_the_twin_saves(tmp_path):
    twin = twin_of()
    twin.save_pretrained(tmp_path)
    model = DistilBert(from_distilbert(twin).config).double().eval()
    load_weights(model, renamed(load_file(tmp_path / "model.safetensors"), WEIGHT_NAMES))
    tokens = tokens_of(61, 2, 11)
    torch.testing.assert_close(model(tokens), twin(tokens).logits, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_what_was_saved_is_what_is_loaded(tmp_path):
    model, tokens = from_distilbert(twin_of().float()), tokens_of(61, 2, 11)
    save(model, tmp_path / "distilbert.safetensors")
    assert torch.equal(load(DistilBert, tmp_path / "distilbert.safetensors")(tokens), model(tokens))


def test_what_we_do_not_have_is_refused():
    with pytest.raises(ValueError, match="relu"):
        from_distilbert(twin_of(activation="relu"))
    with pytest.raises(ValueError, match=r"24 tokens.*23"):
        from_distilbert(twin_of())(tokens_of(61, 1, 24))
