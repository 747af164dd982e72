"""Our residual network against its twin, transformers' ResNetForImageClassification."""

import copy

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import ResNetConfig as TheirConfig
from transformers import ResNetForImageClassification

from nimblelm.nn.checkpoint import load, load_weights, save
from nimblelm.nn.weight_names import renamed
from nimblelm.vision.resnet import WEIGHT_NAMES, ResNet, ResNetConfig, from_resnet
from tests.language.perturbed import PRECISIONS, perturbed

SHAPES = [(5, (5, 7), (2, 1), "basic", 3), (6, (8, 12, 20), (1, 3, 2), "bottleneck", 1), (4, (9,), (3,), "basic", 4)]


def twin_of(stem=5, widths=(5, 7), depths=(2, 1), kind="basic", channels=3, **changes) -> ResNetForImageClassification:
    """Every parameter and the running statistics differ from their initial values."""
    torch.manual_seed(0)
    config = TheirConfig(
        embedding_size=stem,
        hidden_sizes=list(widths),
        depths=list(depths),
        layer_type=kind,
        num_channels=channels,
        num_labels=6,
        **changes,
    )
    twin = perturbed(ResNetForImageClassification(config))
    for name, buffer in twin.named_buffers():
        if "running" in name:
            buffer.add_(0.3 * torch.rand(buffer.shape, generator=torch.Generator().manual_seed(4)))
    return twin


def images_of(height, width, channels=3):
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("size", [(32, 32), (37, 50)])
@torch.no_grad()
def test_logits_agree_with_the_twin(shape, dtype, tolerance, size):
    twin, images = twin_of(*shape).to(dtype), images_of(*size, shape[4]).to(dtype)
    torch.testing.assert_close(from_resnet(twin)(images), twin(images).logits, atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_every_stage_comes_out():
    twin, images = twin_of(), images_of(40, 32)
    want = twin(images, output_hidden_states=True).hidden_states
    for ours, theirs in zip(from_resnet(twin).features(images), want, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_gradients_and_running_statistics_of_training_agree_with_the_twin():
    twin = twin_of()
    model, images, labels = from_resnet(copy.deepcopy(twin)), images_of(32, 32), torch.tensor([1, 5])
    twin.train()(images, labels=labels).loss.backward()
    F.cross_entropy(model.train()(images), labels).backward()
    want = renamed({name: one.grad for name, one in twin.named_parameters()}, WEIGHT_NAMES)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-7)
    for name, buffer in renamed(dict(twin.named_buffers()), WEIGHT_NAMES).items():
        torch.testing.assert_close(model.state_dict()[name], buffer)


@torch.no_grad()
def test_weights_are_read_from_the_file_that_the_twin_saves(tmp_path):
    twin, images = twin_of(), images_of(32, 32)
    twin.save_pretrained(tmp_path)
    model = ResNet(from_resnet(twin).config).double().eval()
    load_weights(model, renamed(load_file(tmp_path / "model.safetensors"), WEIGHT_NAMES))
    torch.testing.assert_close(model(images), twin(images).logits, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_small_images_keep_their_resolution_and_what_was_saved_is_what_is_loaded(tmp_path):
    torch.manual_seed(0)
    model = ResNet(ResNetConfig(4, (4, 8), (1, 1), small_images=True, num_classes=3)).eval()
    images = images_of(16, 12).float()
    assert [tuple(x.shape[1:]) for x in model.features(images)] == [(4, 16, 12), (4, 16, 12), (8, 8, 6)]
    save(model, tmp_path / "resnet.safetensors")
    assert torch.equal(load(ResNet, tmp_path / "resnet.safetensors")(images), model(images))


def test_a_block_whose_convolutions_are_zero_passes_on_what_is_positive():
    model = ResNet(ResNetConfig(4, (4,), (1,), small_images=True)).eval()
    (block,) = model.stages[0]
    torch.nn.init.zeros_(block.convs[-1].norm.weight)
    x = images_of(8, 8, 4).float()
    assert torch.equal(block(x), F.relu(x))


def test_the_presets_have_the_parameters_that_torchvision_counts():
    for config, count in ((ResNetConfig.resnet18(), 11_689_512), (ResNetConfig.resnet50(), 25_557_032)):
        with torch.device("meta"):
            assert sum(weight.numel() for weight in ResNet(config).parameters()) == count


def test_what_we_do_not_have_is_refused():
    with pytest.raises(ValueError, match="gelu"):
        from_resnet(twin_of(hidden_act="gelu"))
    with pytest.raises(ValueError, match="downsample_in_first_stage True"):
        from_resnet(twin_of(downsample_in_first_stage=True))
    with pytest.raises(ValueError, match=r"1 channels.*3"):
        from_resnet(twin_of())(images_of(32, 32, 1))
    with pytest.raises(ValueError, match="same stages"):
        ResNetConfig(widths=(4, 8), depths=(1,))
    with pytest.raises(ValueError, match="multiples of 4"):
        ResNetConfig(widths=(6,), depths=(1,), bottleneck=True)
