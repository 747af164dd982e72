"""Uniform grids: bounds of the error, what a granularity shares, bytes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nimblelm.compression.quantization.absmax import quantize_absmax, quantize_zero_point, stack_rows
from nimblelm.kernels.absmax import absmax_scales, round_to_scales
from nimblelm.kernels.weight_only_matmul import quantize_int8


def weight(num_rows: int = 6, num_columns: int = 48, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    drawn = torch.randn(num_rows, num_columns, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.logspace(-3, 2, num_rows)[:, None] + shift


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 8), st.sampled_from(["tensor", "channel", 8, 16, 48]), st.integers(0, 999), st.booleans())
def test_the_error_is_at_most_half_a_step(bits, granularity, seed, symmetric):
    w = weight(seed=seed, shift=0.3)
    quantized = (quantize_absmax if symmetric else quantize_zero_point)(w, bits, granularity)
    half_steps = quantized.scales.double().repeat_interleave(w.numel() // len(quantized.scales)).view(w.shape) / 2
    error = (w.double() - quantized.dequantize(torch.float64)).abs()
    # float32 rounds W / scale, of up to 2^bits steps; a zero point is rounded too, so an end of the range may be cut
    room = 1 + 2.0 ** (bits - 20) + (0 if symmetric else 1)
    assert (error <= half_steps * room).all()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_values_use_the_bits_they_have(bits):
    w = weight()
    top = 2 ** (bits - 1) - 1
    assert (quantize_absmax(w, bits).values.abs().amax(1) == top).all()
    zero_point = quantize_zero_point(w, bits)
    assert (zero_point.values.amin(1) == 0).all()
    assert (zero_point.values.amax(1) == 2**bits - 1).all()


def test_zero_is_on_both_grids_and_zero_rows_stay_zero():
    w = weight(shift=5.0)  # all of one sign: the range is widened to 0
    w[2] = 0
    w[3, ::3] = 0
    for quantized in (quantize_absmax(w, 4), quantize_zero_point(w, 4)):
        back = quantized.dequantize()
        assert not back[2].any()
        assert not back[3, ::3].any()
        assert back[3, 1]


def test_eight_bits_a_channel_is_what_the_kernels_read():
    w = weight()
    ours, theirs = quantize_absmax(w), quantize_int8(w)
    assert torch.equal(ours.values, theirs.values.to(torch.int16))
    assert torch.equal(ours.scales, theirs.scales)


def test_finer_groups_err_less_beside_an_outlier():
    w = torch.randn(8, 256, generator=torch.Generator().manual_seed(0))
    w[3, 17] = 60.0
    errors = [(w - quantize_absmax(w, 4, g).dequantize()).norm().item() for g in ("tensor", "channel", 64, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 3 * errors[3]


def test_a_zero_point_pays_where_weights_lean_to_one_side():
    w = weight(shift=0.0).abs()
    symmetric, shifted = (q(w, 4).dequantize() for q in (quantize_absmax, quantize_zero_point))
    assert (w - shifted).norm() < 0.6 * (w - symmetric).norm()


def test_bytes_are_counted_as_stored():
    w = weight(6, 48)
    assert quantize_absmax(w, 4, 16).size_bytes == 6 * 48 // 2 + 4 * 18
    assert quantize_zero_point(w, 3, "channel").size_bytes == -(-(6 * 48 * 3 + 6 * 3) // 8) + 4 * 6
    assert quantize_absmax(w, 8, "tensor").size_bytes == 6 * 48 + 4


def test_stacked_rows_are_the_rows_of_all():
    parts = [quantize_zero_point(weight(6, 48, seed), 4, 16) for seed in (1, 2)]
    assert torch.equal(stack_rows(parts).dequantize(), torch.cat([part.dequantize() for part in parts]))
    symmetric = [quantize_absmax(weight(6, 48, seed), 4) for seed in (1, 2)]
    assert torch.equal(stack_rows(symmetric).dequantize(), torch.cat([part.dequantize() for part in symmetric]))
    with pytest.raises(ValueError, match="differ"):
        stack_rows([parts[0], symmetric[1]])


@pytest.mark.parametrize("quantize", [quantize_absmax, quantize_zero_point])
def test_what_cannot_be_is_refused(quantize):
    with pytest.raises(ValueError, match="9 bits"):
        quantize(weight(), 9)
    with pytest.raises(ValueError, match="groups of 7"):
        quantize(weight(), 4, 7)
    with pytest.raises(ValueError, match="nothing"):
        quantize(torch.zeros(0, 4))
    bad = weight()
    bad[0, 0] = torch.nan
    with pytest.raises(ValueError, match="nan"):
        quantize(bad)


def test_a_row_with_nan_harms_no_other():
    x = torch.tensor([[1.0, -2.0], [torch.inf, 1.0]])
    scales = absmax_scales(x, 127, torch.float32)
    assert scales[0] == 2 / 127
    assert scales[1].isnan()
    assert round_to_scales(x, scales, 127).tolist() == [[64, -127], [0, 0]]
    with pytest.raises(ValueError, match="0 steps"):
        absmax_scales(x, 0, torch.float32)
