"""Invariants of the two formats."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nimblelm.kernels.weight_only_matmul import Int8Weight, quantize_int4, quantize_int8, weight_only_matmul
from nimblelm.kernels.weight_only_matmul.quantized_weight import pack_int4, unpack_int4

ROUNDING = 127 * 2**-24  # of W / scale in float32, in steps


def weight(N=24, K=512, magnitude=1.0, dtype=torch.float32):
    scales = torch.logspace(-4, 4, N)[:, None] * magnitude
    return (torch.randn(N, K, generator=torch.Generator().manual_seed(N + K)) * scales).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("magnitude", [1.0, 1e-30, 1e-42])
def test_int8_error_is_at_most_half_a_step(magnitude, dtype):
    w = weight(magnitude=magnitude, dtype=dtype)
    quantized = quantize_int8(w)
    error = (w.double() - quantized.dequantize(torch.float64)).abs()
    assert (error <= quantized.scales.double()[:, None] * (0.5 + ROUNDING)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("magnitude", [1.0, 1e-30, 1e-42])
@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_int4_error_is_at_most_half_a_step(group_size, magnitude, dtype):
    w = weight(magnitude=magnitude, dtype=dtype)
    quantized = quantize_int4(w, group_size)
    error = (w.double() - quantized.dequantize(torch.float64)).abs()
    assert (error <= quantized.scales.double().repeat_interleave(group_size, 1) * (0.5 + ROUNDING)).all()


def test_the_largest_of_a_row_or_group_takes_the_last_step():
    w = weight()
    assert (quantize_int8(w).values.abs().amax(1) == 127).all()
    values = unpack_int4(quantize_int4(w, 64).packed, 64)
    assert (values.abs().unflatten(1, (-1, 64)).amax(2) == 7).all()
    assert torch.equal(quantize_int8(-w).values, -quantize_int8(w).values)


def test_zero_rows_and_groups_stay_zero():
    w = weight(4, 256)
    w[1] = 0.0
    w[2, 64:128] = 0.0
    for quantized in (quantize_int8(w), quantize_int4(w, 64)):
        back = quantized.dequantize()
        assert torch.isfinite(back).all()
        assert not back[1].any()
        assert not back[2, 64:128].any()
        assert back[3].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_largest_numbers_come_back_finite(dtype):
    w = torch.full((2, 64), torch.finfo(dtype).max, dtype=dtype)
    for quantized in (quantize_int8(w), quantize_int4(w, 32)):
        torch.testing.assert_close(quantized.dequantize(), w.float(), rtol=2**-8, atol=0)


def test_numbers_beyond_float32_are_refused():
    for quantize in (quantize_int8, quantize_int4):
        with pytest.raises(ValueError, match="float32 cannot hold"):
            quantize(torch.full((2, 128), 1e39, dtype=torch.float64))


def test_a_product_over_no_columns_or_of_no_channels_is_empty_sums():
    x = torch.zeros(3, 2, 0)
    no_columns = Int8Weight(torch.zeros(4, 0, dtype=torch.int8), torch.ones(4))
    assert torch.equal(weight_only_matmul(x, no_columns), torch.zeros(3, 2, 4))
    assert weight_only_matmul(torch.ones(3, 32), quantize_int8(torch.zeros(0, 32))).shape == (3, 0)


def test_int4_keeps_a_small_group_beside_a_large_one():
    w = torch.ones(1, 256)
    w[:, 128:] = 1e-3
    torch.testing.assert_close(quantize_int4(w, 128).dequantize(), w, rtol=2**-8, atol=0)
    assert not quantize_int8(w).dequantize()[:, 128:].any()


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([32, 64, 128]), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**31))
def test_packing_is_a_bijection(group_size, num_rows, num_groups, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-8, 8, (num_rows, num_groups * group_size), generator=generator, dtype=torch.int8)
    assert torch.equal(unpack_int4(pack_int4(values, group_size), group_size), values)
    packed = torch.randint(0, 256, (num_rows, num_groups * group_size // 2), generator=generator, dtype=torch.uint8)
    assert torch.equal(pack_int4(unpack_int4(packed, group_size), group_size), packed)


def test_a_byte_holds_a_column_of_each_half_of_its_group():
    values = torch.zeros(1, 128, dtype=torch.int8)
    values[0, 64 + 3], values[0, 64 + 32 + 3] = -7, 5
    packed = pack_int4(values, 64)
    assert packed[0, 32 + 3] == (5 + 8) << 4 | (-7 + 8)
    assert packed.sum() == 63 * 0x88 + int(packed[0, 35])


def test_exact_byte_counts():
    assert quantize_int8(weight(24, 512)).size_bytes == 24 * 512 + 24 * 4
    assert quantize_int4(weight(24, 512), 128).size_bytes == 24 * 256 + 24 * 4 * 2
    assert quantize_int4(weight(24, 512), 32).size_bytes == 24 * 256 + 24 * 16 * 2
    assert quantize_int8(weight(24, 512)).shape == quantize_int4(weight(24, 512)).shape == (24, 512)


def test_what_cannot_be_quantized_is_refused():
    with pytest.raises(ValueError, match="500 columns"):
        quantize_int4(torch.ones(3, 500))
    with pytest.raises(ValueError, match="group_size 48"):
        quantize_int4(torch.ones(3, 96), 48)
    for bad in (float("nan"), float("inf")):
        for quantize in (quantize_int8, quantize_int4):
            with pytest.raises(ValueError, match="nan or an infinity"):
                quantize(torch.full((2, 128), bad))
