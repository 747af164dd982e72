"""Error and bytes of int8 rows, and decoding on them."""

import pytest
import torch

from nimblelm.inference.cache import CachedModel, KVCache
from nimblelm.inference.quantized_cache import QuantizedCachedModel, dequantize_rows, quantize_rows
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


def test_bytes_are_counted_to_the_last():
    rows = quantize_rows(torch.randn(5, 6, 16))
    assert rows.size_bytes == 5 * 6 * 16 + 5 * 6 * 4
    config, floats = MODEL.config, KVCache.allocate(MODEL, 160)
    expected = floats.size_bytes / 4 + floats.size_bytes / config.head_dim
    assert QuantizedCachedModel(MODEL, 160).size_bytes == expected


def test_logits_stay_close_to_those_of_a_float_cache():
    tokens = torch.randint(0, 50, (60,), generator=torch.Generator().manual_seed(2))
    exact, rounded = CachedModel(MODEL), QuantizedCachedModel(MODEL)
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
    once, twice = QuantizedCachedModel(MODEL), QuantizedCachedModel(MODEL)
    with torch.inference_mode():
        once(tokens[:8], 0)
        twice(tokens[:8], 0)
        twice(tokens[:3], 8)
        assert torch.equal(once(tokens[8:], 8), twice(tokens[8:], 8))


def test_tokens_past_the_cache_are_refused():
    with pytest.raises(ValueError, match="the limit is 4"):
        QuantizedCachedModel(MODEL, 4)(torch.zeros(5, dtype=torch.int64), 0)
