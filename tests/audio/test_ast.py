"""Our AST against its twin, transformers' ASTForAudioClassification."""

import copy

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import ASTConfig as TheirConfig
from transformers import ASTForAudioClassification

from nimblelm.audio.ast import AST, WEIGHT_NAMES, ASTConfig, from_ast
from nimblelm.nn.attend import recorded
from nimblelm.nn.checkpoint import load, load_weights, save
from nimblelm.nn.weight_names import renamed
from tests.language.perturbed import PRECISIONS, perturbed

# heads, width, layers, hidden width, classes, bands, frames, patch, strides of bands and frames
SHAPES = [(3, 24, 2, 20, 5, 21, 34, 6, 4, 5), (1, 10, 3, 7, 2, 16, 16, 16, 10, 10), (4, 28, 1, 64, 11, 33, 50, 7, 7, 3)]


def twin_of(heads=3, width=24, layers=2, d_ff=20, classes=5, bands=21, frames=34, patch=6, down=4, across=5, **changes):
    torch.manual_seed(0)
    config = TheirConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=d_ff,
        num_labels=classes,
        num_mel_bins=bands,
        max_length=frames,
        patch_size=patch,
        frequency_stride=down,
        time_stride=across,
        layer_norm_eps=1e-3,
        **changes,
    )
    return perturbed(ASTForAudioClassification(config))


def spectra(twin: ASTForAudioClassification, batch: int = 3) -> torch.Tensor:
    shape = batch, twin.config.num_mel_bins, twin.config.max_length
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=next(twin.parameters()).dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_logits_agree_with_the_twin(shape, dtype, tolerance):
    twin = twin_of(*shape).to(dtype)
    mel = spectra(twin)
    torch.testing.assert_close(from_ast(twin)(mel), twin(mel.mT).logits, atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_every_layer_and_every_attention_map_comes_out():
    twin = twin_of(attn_implementation="eager")
    model, mel, maps = from_ast(twin), spectra(twin), []
    want = twin(mel.mT, output_hidden_states=True, output_attentions=True)
    layers = list(model.layers(model.embed(mel), recorded(maps)))
    for ours, theirs in zip(layers[:-1], want.hidden_states[: len(layers) - 1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)  # their eager softmax is in float32
    for ours, theirs in zip(maps, want.attentions, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    assert maps[0].shape[-1] == model.config.num_patches + 2


def test_gradients_agree_with_the_twin():
    twin = twin_of()
    model, mel, labels = from_ast(copy.deepcopy(twin)), spectra(twin), torch.tensor([0, 4, 2])
    F.cross_entropy(twin(mel.mT).logits, labels).backward()
    F.cross_entropy(model(mel), labels).backward()
    want = renamed({n: p.grad for n, p in twin.named_parameters()}, WEIGHT_NAMES)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-8)


@torch.no_grad()
def test_weights_are_read_from_the_file_that_the_twin_saves(tmp_path):
    twin = twin_of()
    twin.save_pretrained(tmp_path)
    model = AST(from_ast(twin).config).double().eval()
    load_weights(model, renamed(load_file(tmp_path / "model.safetensors"), WEIGHT_NAMES))
    torch.testing.assert_close(model(spectra(twin)), twin(spectra(twin).mT).logits, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_what_was_saved_is_what_is_loaded(tmp_path):
    twin = twin_of().float()
    model, mel = from_ast(twin), spectra(twin)
    save(model, tmp_path / "ast.safetensors")
    assert torch.equal(load(AST, tmp_path / "ast.safetensors")(mel), model(mel))


def test_the_papers_size_has_its_patches():
    assert ASTConfig(527).grid == (12, 101)
    assert ASTConfig(527).num_patches == 1212


def test_what_we_do_not_have_is_refused():
    cases = {
        "relu": lambda: from_ast(twin_of(hidden_act="relu")),
        "qkv_bias": lambda: from_ast(twin_of(qkv_bias=False)),
        "21 bands and 34 frames": lambda: from_ast(twin_of())(torch.zeros(1, 21, 33)),
        "patch_size 22": lambda: ASTConfig(2, num_mels=21, patch_size=22),
        "strides": lambda: ASTConfig(2, mel_stride=0),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()
