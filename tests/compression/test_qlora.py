"""QLoRA: gradients through a 4-bit base, and what is kept for them."""

import copy

import pytest
import torch
from torch import nn

from nimblelm.compression.lora import adapter_weights, add_lora, merge_lora
from nimblelm.compression.qlora import NF4Linear, add_qlora
from nimblelm.compression.quantization.nf4 import quantize_nf4
from nimblelm.compression.quantization.simulated import projections
from nimblelm.measure.saved_for_backward import saved_bytes
from tests.compression.quantization.test_packed import model
from tests.compression.test_lora import perturbed, seeded


def dequantized(source: nn.Module) -> nn.Module:
    """The model whose projections hold what NF4 leaves of them."""
    for _, layer in projections(source):
        layer.weight.copy_(quantize_nf4(layer.weight).dequantize())
    return source


def test_outputs_and_gradients_are_those_of_the_dequantized_base():
    quantized = perturbed(add_qlora(model(), 4, 8.0, generator=seeded()))
    plain = perturbed(add_lora(dequantized(model()), 4, 8.0, generator=seeded()))
    tokens = torch.arange(30)[None]
    got, want = quantized(tokens), plain(tokens)
    torch.testing.assert_close(got, want)
    got.square().mean().backward()
    want.square().mean().backward()
    gradients = [{n: p.grad for n, p in m.named_parameters() if p.grad is not None} for m in (quantized, plain)]
    assert gradients[0].keys() == gradients[1].keys() == adapter_weights(plain).keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_a_product_keeps_nothing_but_the_packed_weight():
    weight = torch.randn(256, 128)
    layer, x = NF4Linear(quantize_nf4(weight)), torch.randn(64, 128, requires_grad=True)
    kept, y = saved_bytes(lambda: layer(x))
    assert kept == 0
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, layer.stored.dequantize().sum(0).expand_as(x))
    naive, _ = saved_bytes(lambda: x @ layer.stored.dequantize().T)
    assert naive == 4 * 256 * 128


def test_a_quantized_base_cannot_take_an_adapter_in():
    with pytest.raises(ValueError, match="NF4Linear"):
        merge_lora(add_qlora(model(), 4, 8.0))


def test_only_plain_layers_are_stored_in_nf4():
    with pytest.raises(ValueError, match="plain linear"):
        add_qlora(nn.ModuleDict({"q_proj": nn.Linear(64, 64)}), 2, 2.0)
    with pytest.raises(ValueError, match="plain linear"):
        add_qlora(copy.deepcopy(add_lora(model(), 2, 2.0)), 2, 2.0)


@pytest.mark.parametrize(("last", "rank"), [(nn.Linear(64, 8, bias=True), 2), (nn.Linear(64, 1, bias=False), 2)])
def test_a_refusal_leaves_every_layer_in_floats(last, rank):
    layers = nn.ModuleDict({"q_proj": nn.Linear(64, 8, bias=False), "k_proj": last})
    with pytest.raises(ValueError, match=r"bias|rank"):
        add_qlora(layers, rank, 4.0)
    assert type(layers["q_proj"]) is nn.Linear
