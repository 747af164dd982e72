"""Error and bytes of int8 rows, and decoding on them."""

import math

import pytest
import torch

from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.inference.decoding.quantized_cache import QuantizedKVCache, dequantize_rows, quantize_rows
from tests.inference.models import varied_pair

MODEL = varied_pair()[0]


def test_the_error_is_at_most_half_a_step():
    x = torch.randn(40, 3, 16, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 4, 40)[:, None, None]
    rows = quantize_rows(x)
    assert bool(((dequantize_rows(rows) - x).abs() <= rows.scales[..., None] * 0.5 * (1 + 1e-4)).all())
    assert bool((rows.codes.abs().amax(-1) == 127).all())
    oracle = torch.round(x.double() / (x.double().abs().amax(-1, keepdim=True) / 127))
    assert (rows.codes.double() - oracle).abs().max() <= 1  # ties apart
    assert (rows.codes.double() != oracle).float().mean() < 0.001


def test_rows_of_zeros_and_the_largest_values_survive():
    x = torch.stack([torch.zeros(8), torch.full((8,), -3.0e38), torch.linspace(-1, 1, 8)])
    rows = quantize_rows(x)
    assert torch.equal(dequantize_rows(rows)[0], x[0])
    assert rows.codes[1].tolist() == [-127] * 8
    assert dequantize_rows(rows).isfinite().all()
    assert rows.codes.min() >= -127


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_largest_number_of_a_dtype_comes_back_finite(dtype):
    x = torch.tensor([[1.0, -1.0, 0.5]], dtype=dtype) * torch.finfo(dtype).max
    back = dequantize_rows(quantize_rows(x))
    torch.testing.assert_close(back, x.to(back.dtype), rtol=0, atol=torch.finfo(dtype).max / 253)


def test_bytes_are_counted_to_the_last():
    rows = quantize_rows(torch.randn(5, 6, 16))
    assert rows.size_bytes == 5 * 6 * 16 + 5 * 6 * 4
    config, floats = MODEL.config, KVCache.allocate(MODEL, 160)
    expected = floats.size_bytes / 4 + floats.size_bytes / config.head_dim
    assert QuantizedKVCache.allocate(MODEL, 160).size_bytes == expected


def test_logits_stay_close_to_those_of_a_float_cache():
    tokens = torch.randint(0, 50, (60,), generator=torch.Generator().manual_seed(2))
    exact, rounded = CachedModel(MODEL), CachedModel(MODEL, allocate=QuantizedKVCache.allocate)
    with torch.inference_mode():
        for start, end in ((0, 20), (20, 21), (21, 40), (40, 60)):
            want, got = (model(tokens[start:end], start) for model in (exact, rounded))
            if start == 0:
                assert torch.equal(got, want)  # a pass sees its own rows exactly
            else:
                error = (got - want).norm() / want.norm()
                assert 1e-5 < error < 0.02


def test_a_row_can_be_taken_back():
    tokens = torch.randint(0, 50, (12,), generator=torch.Generator().manual_seed(4))
    once, twice = (
        CachedModel(MODEL, allocate=QuantizedKVCache.allocate),
        CachedModel(MODEL, allocate=QuantizedKVCache.allocate),
    )
    with torch.inference_mode():
        once(tokens[:8], 0)
        twice(tokens[:8], 0)
        twice(tokens[:3], 8)
        assert torch.equal(once(tokens[8:], 8), twice(tokens[8:], 8))


def test_tokens_past_the_cache_are_refused():
    with pytest.raises(ValueError, match="the limit is 4"):
        CachedModel(MODEL, 4, QuantizedKVCache.allocate)(torch.zeros(5, dtype=torch.int64), 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rows_of_any_size_come_back_within_half_a_step_in_every_precision(dtype):
    """Down to the smallest number that the precision holds: what divides is what multiplies."""
    sizes = torch.logspace(math.log10(torch.finfo(dtype).smallest_normal) - 2, 4, 60, dtype=torch.float64)
    x = torch.randn(60, 3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * sizes[:, None, None]
    x = x.clamp(-60000, 60000).to(dtype)
    rows = quantize_rows(x)
    error = (dequantize_rows(rows).double() - x.double()).abs()
    step = rows.scales.double()[..., None]
    assert bool((error <= 0.5 * step * (1 + 1e-4)).all())
    largest = x.double().abs().amax(-1)
    ordinary = largest > 127 * torch.finfo(rows.scales.dtype).tiny
    assert bool((rows.scales.double()[ordinary] <= largest[ordinary] / 127 * (1 + 1e-6)).all())


def test_a_small_row_in_float16_comes_back():
    x = torch.tensor([[0.001, -0.0005], [1e-5, -3e-6], [6e-8, 0.0]], dtype=torch.float16)
    back = dequantize_rows(quantize_rows(x)).double()
    assert bool(((back - x.double()).abs() <= x.double().abs().amax(-1, keepdim=True) / 254 * 1.001).all())


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_row_that_is_not_finite_comes_back_as_nan_and_harms_no_other(dtype, wrong):
    x = torch.tensor([[1.0, 2.0], [wrong, 1.0], [0.0, 0.0]], dtype=dtype)
    rows = quantize_rows(x)
    back = dequantize_rows(rows)
    assert back[1].isnan().all()
    assert rows.codes[1].tolist() == [0, 0]
    torch.testing.assert_close(back[[0, 2]].float(), x[[0, 2]].float(), atol=0.01, rtol=0)


def test_a_half_model_with_small_values_decodes_as_with_a_half_cache():
    model = varied_pair()[0]
    for block in model.blocks:  # value rows of about 1e-4
        block.attention.v_proj.weight *= 1e-4
        block.attention.out_proj.weight *= 1e4
    model = model.half()
    tokens = torch.randint(0, 50, (30,), generator=torch.Generator().manual_seed(2))
    exact, rounded = CachedModel(model), CachedModel(model, allocate=QuantizedKVCache.allocate)
    with torch.inference_mode():
        for start, end in ((0, 20), (20, 21), (21, 30)):
            want, got = (one(tokens[start:end], start).float() for one in (exact, rounded))
        assert (got - want).norm() / want.norm() < 0.02


@pytest.mark.parametrize(("count", "position"), [(1, -1), (20, -3)])
def test_positions_before_the_cache_are_refused(count, position):
    with pytest.raises(ValueError, match=f"position {position}"):
        CachedModel(MODEL, 160, QuantizedKVCache.allocate)(torch.zeros(count, dtype=torch.int64), position)
