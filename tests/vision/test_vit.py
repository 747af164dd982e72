"""Our vision transformer against its twin, transformers' ViTForImageClassification."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import ViTConfig as TheirConfig
from transformers import ViTForImageClassification

from nimblelm.nn.attend import recorded
from nimblelm.nn.checkpoint import load, load_weights, save
from nimblelm.vision.vit import ViT, ViTConfig, from_vit, weights_from_vit
from tests.language.perturbed import PRECISIONS, perturbed

SHAPES = [(3, 24, 2, 20, 12, 4, 3), (1, 10, 3, 7, 15, 5, 1), (5, 35, 1, 64, 21, 3, 4)]


def twin_of(
    heads=3, width=24, layers=2, d_ff=20, image=12, patch=4, channels=3, **changes
) -> ViTForImageClassification:
    torch.manual_seed(0)
    config = TheirConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=d_ff,
        image_size=image,
        patch_size=patch,
        num_channels=channels,
        num_labels=7,
        layer_norm_eps=1e-3,
        **changes,
    )
    return perturbed(ViTForImageClassification(config))


def images_of(height, width, channels=3, count=2):
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_logits_agree_with_the_twin(shape, dtype, tolerance):
    twin, images = twin_of(*shape).to(dtype), images_of(shape[4], shape[4], shape[6]).to(dtype)
    torch.testing.assert_close(from_vit(twin)(images), twin(images).logits, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("size", [(24, 24), (8, 20), (4, 12), (16, 12)])
@torch.no_grad()
def test_images_of_another_size_get_the_positions_that_the_twin_interpolates(size):
    twin, images = twin_of(), images_of(*size)
    want = twin(images, interpolate_pos_encoding=True).logits
    torch.testing.assert_close(from_vit(twin)(images), want, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_every_layer_and_every_attention_map_comes_out():
    twin = twin_of(attn_implementation="eager")
    model, images, maps = from_vit(twin), images_of(12, 12), []
    want = twin(images, output_hidden_states=True, output_attentions=True)
    layers = list(model.layers(model.embed(images), recorded(maps)))
    for ours, theirs in zip([*layers, *maps], [*want.hidden_states, *want.attentions], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)  # their softmax is in float32
    assert torch.equal(model.states(model.embed(images)), list(model.layers(model.embed(images)))[-1])


def test_gradients_agree_with_the_twin():
    twin = twin_of()
    model, images, labels = from_vit(copy.deepcopy(twin)), images_of(12, 12), torch.tensor([1, 6])
    twin(images, labels=labels).loss.backward()
    F.cross_entropy(model(images), labels).backward()
    want = weights_from_vit({name: one.grad for name, one in twin.named_parameters()})
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-8)


@torch.no_grad()
def test_weights_are_read_from_the_file_that_the_twin_saves(tmp_path):
    twin, images = twin_of(), images_of(12, 12)
    twin.save_pretrained(tmp_path)
    model = ViT(from_vit(twin).config).double().eval()
    load_weights(model, weights_from_vit(load_file(tmp_path / "model.safetensors")))
    torch.testing.assert_close(model(images), twin(images).logits, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_what_was_saved_is_what_is_loaded(tmp_path):
    model, images = from_vit(twin_of().float()), images_of(12, 12).float()
    save(model, tmp_path / "vit.safetensors")
    assert torch.equal(load(ViT, tmp_path / "vit.safetensors")(images), model(images))


def test_the_presets_have_the_parameters_of_the_papers_table():
    for config, millions in ((ViTConfig.base(), 86), (ViTConfig.large(), 307), (ViTConfig.huge(), 632)):
        with torch.device("meta"):
            count = sum(weight.numel() for weight in ViT(config).parameters())
        assert abs(count / 1e6 - millions) / millions < 0.012, count


def test_what_we_do_not_have_is_refused():
    with pytest.raises(ValueError, match="relu"):
        from_vit(twin_of(hidden_act="relu"))
    with pytest.raises(ValueError, match=r"\(12, 8\)"):
        from_vit(twin_of(image=(12, 8), patch=4))
    model = from_vit(twin_of())
    with pytest.raises(ValueError, match="13 x 12"):
        model(images_of(13, 12))
    with pytest.raises(ValueError, match=r"1 channels.*3"):
        model(images_of(12, 12, channels=1))
    with pytest.raises(ValueError, match="30 x 30 pixels is not divisible into patches of 8"):
        ViTConfig(image_size=30, patch_size=8)
    with pytest.raises(ValueError, match="norm_eps nan"):
        ViTConfig(norm_eps=math.nan)
