"""Packed products and the decoder made of them: against the dequantized model in float32."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nimblelm.compression.quantization.absmax import quantize_zero_point
from nimblelm.compression.quantization.packed import (
    Int4Linear,
    Int8Linear,
    LeanRMSNorm,
    int4_linear,
    int8_linear,
    one_query_or_causal,
    packed_for_decoding,
)
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.kernels.weight_only_matmul import quantize_int4, quantize_int8
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.attend import causal
from nimblelm.nn.norms import RMSNorm


def weight(num_rows: int = 64, num_columns: int = 128) -> torch.Tensor:
    return torch.randn(num_rows, num_columns, generator=torch.Generator().manual_seed(num_rows)) / num_columns**0.5


def relative(got: torch.Tensor, want: torch.Tensor) -> float:
    return ((got.double() - want).norm() / want.norm()).item()


@pytest.mark.parametrize("tokens", [1, 3, 17])
@pytest.mark.parametrize("make", [int8_linear, int4_linear])
def test_products_are_those_of_the_dequantized_weight(make, tokens):
    layer = make(weight())
    x = torch.randn(2, tokens, 128, generator=torch.Generator().manual_seed(1))
    got = layer(x)
    assert got.dtype == x.dtype
    assert relative(got, x.double() @ layer.weight.dequantize(torch.float64).T) < 2**-7


def test_whole_numbers_are_multiplied_exactly():
    """Where bfloat16 rounds nothing, nothing is lost: layout and order of the groups are right."""
    x = torch.zeros(1, 256)
    for column in (0, 31, 32, 63, 64, 130, 255):
        x.zero_()
        x[0, column] = 1
        w = weight(32, 256)
        for layer in (int8_linear(w), int4_linear(w, 32), int4_linear(w, 128)):
            want = layer.weight.dequantize()[:, column].bfloat16().float()
            torch.testing.assert_close(layer(x)[0], want, rtol=2**-7, atol=0)


def test_a_grid_with_zero_points_is_multiplied_too():
    w = weight(64, 256) + 0.02
    layer = Int4Linear(quantize_zero_point(w, 4, 64))
    x = torch.randn(3, 256, generator=torch.Generator().manual_seed(1))
    assert relative(layer(x), x.double() @ layer.weight.dequantize(torch.float64).T) < 2**-6
    with pytest.raises(ValueError, match="3 bits"):
        Int4Linear(quantize_zero_point(w, 3, 64))
    with pytest.raises(ValueError, match="groups of 16"):
        Int4Linear(quantize_zero_point(w, 4, 16))


def test_bytes_are_those_of_the_weights():
    assert Int8Linear(quantize_int8(weight())).size_bytes == 64 * 128 + 4 * 64
    assert Int4Linear(quantize_int4(weight(), 64)).size_bytes == 64 * 128 // 2 + 2 * 64 * 2


def test_the_lean_norm_is_the_norm():
    norm = RMSNorm(48)
    nn.init.normal_(norm.weight)
    x = torch.randn(2, 3, 48) * torch.logspace(-3, 2, 3)[:, None] + 1
    torch.testing.assert_close(LeanRMSNorm(norm)(x), norm(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "shapes", [((1, 1, 6, 8), (1, 9, 2, 8)), ((2, 1, 2, 8), (2, 5, 2, 8)), ((1, 3, 2, 8), (1, 7, 1, 8))]
)
def test_one_query_sees_all_keys(shapes):
    q, k, v = torch.randn(shapes[0]), torch.randn(shapes[1]), torch.randn(shapes[1])
    torch.testing.assert_close(one_query_or_causal(q, k, v), causal(q, k, v))


def model() -> Llama:
    torch.manual_seed(0)
    made = Llama(LlamaConfig(50, 64, 2, 4, 2, 64, max_seq_len=96)).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.copy_(torch.randn_like(parameter) * (0.15 if parameter.ndim == 2 else 0.1) + (parameter.ndim == 1))
    return made


@pytest.mark.parametrize(("pack", "limit"), [(int8_linear, 0.02), (lambda w: int4_linear(w, 32), 0.02)])
def test_a_packed_model_computes_what_its_weights_say(pack, limit):
    """Against the same model in float32 with the dequantized weights, cached, block by block."""
    source, plain = model(), model()
    packed = CachedModel(packed_for_decoding(source, pack))
    for name, layer in plain.named_modules():
        if isinstance(layer, nn.Linear) and name != "head":
            layer.weight.copy_(pack(layer.weight).weight.dequantize())
    tokens = torch.randint(50, (40,), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        want = plain(tokens[None])[0].double()
        got = torch.cat([packed(tokens[:17], 0), packed(tokens[17:18], 17), packed(tokens[18:], 18)])
    assert got.dtype == torch.float32
    assert relative(got, want) < limit
    assert relative(got, model()(tokens[None])[0].double()) > 0.002  # and not what the unrounded weights say


def test_the_model_that_was_packed_still_computes_what_it_did():
    source, tokens = model(), torch.arange(20)
    before = source(tokens[None])
    packed = packed_for_decoding(source, int8_linear)
    torch.testing.assert_close(source(tokens[None]), before)
    assert packed is not source
    assert torch.equal(generate(CachedModel(source), tokens, 5), generate(CachedModel(model()), tokens, 5))


def test_float_layers_give_the_model_itself():
    """Everything but the products is what the fused decoder computes."""

    class Plain(nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = weight

        def forward(self, x):
            return F.linear(x, self.weight)

    tokens = torch.arange(30)
    packed = CachedModel(packed_for_decoding(model(), Plain))
    torch.testing.assert_close(packed(tokens, 0), model()(tokens[None])[0], rtol=1e-4, atol=1e-4)
