"""NF4 and its scales: the published levels, the layout of bitsandbytes, bits a weight."""

import pytest
import torch
from scipy.stats import norm

from nimblelm.compression.quantization.double import quantize_scales
from nimblelm.compression.quantization.nf4 import nf4_levels, quantize_nf4

BITSANDBYTES = [  # functional.py, get_4bit_type("nf4"); Dettmers et al., 2023, appendix E
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip


def weight(num_rows: int = 16, num_columns: int = 192, seed: int = 0) -> torch.Tensor:
    return torch.randn(num_rows, num_columns, generator=torch.Generator().manual_seed(seed)) * 0.02


def test_levels_are_those_of_bitsandbytes():
    assert (nf4_levels() - torch.tensor(BITSANDBYTES)).abs().max() < 1e-6
    assert {-1.0, 0.0, 1.0} <= set(nf4_levels().tolist())


def test_levels_are_quantiles_of_a_normal_distribution():
    ends = norm.cdf(nf4_levels().double().numpy() * norm.ppf((31 / 32 + 29 / 30) / 2))
    assert torch.tensor(ends[7:]).diff().std() < 1e-6  # eight equal shares above 0
    assert torch.tensor(ends[:8]).diff().std() < 1e-6  # seven below


@pytest.mark.parametrize("double", [False, True])
def test_every_weight_takes_the_nearest_level(double):
    w = weight()
    quantized = quantize_nf4(w, double)
    codes = torch.stack([quantized.packed >> 4, quantized.packed & 15], -1).flatten().view(-1, 64)
    scales = w.view(-1, 64).abs().amax(1)
    for block in range(0, len(codes), 7):
        distances = (w.view(-1, 64)[block, :, None] - scales[block] * nf4_levels()).abs()
        assert (distances.gather(1, codes[block, :, None].long())[:, 0] <= distances.amin(1) + 1e-9).all()


def test_dequantizing_gives_scale_times_level():
    w = weight()
    back = quantize_nf4(w, double=False).dequantize()
    scales = w.view(-1, 64).abs().amax(1)
    ratio = back.view(-1, 64) / scales[:, None]
    assert (ratio[..., None] - nf4_levels()).abs().amin(-1).max() < 1e-6
    assert torch.equal(ratio.abs().amax(1), torch.ones(len(scales)))  # the largest comes back exactly


def test_the_first_weight_of_a_byte_lies_in_its_high_half():
    w = torch.zeros(1, 64)
    w[0, 0], w[0, 1] = 1.0, -1.0
    packed = quantize_nf4(w).packed
    assert packed[0] == 15 << 4 | 0
    assert packed[1] == 7 << 4 | 7


def test_bits_a_weight():
    w = weight(256, 1024)
    plain, double = (8 * quantize_nf4(w, d).size_bytes / w.numel() for d in (False, True))
    assert plain == 4.5
    assert abs(double - (4 + 8 / 64 + 32 / (64 * 256)) - 32 / w.numel()) < 1e-12  # and one mean for all


def test_nf4_errs_less_than_four_uniform_bits_on_normal_weights():
    w = weight(64, 1024)
    uniform = (w.view(-1, 64) / (w.view(-1, 64).abs().amax(1, keepdim=True) / 7)).round()
    uniform = (uniform * w.view(-1, 64).abs().amax(1, keepdim=True) / 7).view_as(w)
    nf4 = quantize_nf4(w).dequantize()
    assert (w - nf4).norm() < 0.9 * (w - uniform).norm()
    assert abs((w - nf4).norm() / w.norm() - 0.092) < 0.002


def test_double_quantization_adds_little():
    scales = torch.rand(1000, generator=torch.Generator().manual_seed(0)) + 0.5
    double = quantize_scales(scales)
    assert double.size_bytes == 1000 + 4 * 4 + 4
    error = (double.dequantize() - scales).abs().max()
    assert error <= 0.5 * 1.01 / 254 + 1e-6  # half a 127th of the largest deviation from the mean
    assert (quantize_scales(torch.tensor([1e-3, 5.0])).dequantize() >= 0).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="blocks of 64"):
        quantize_nf4(torch.randn(2, 65))
    with pytest.raises(ValueError, match="no scales"):
        quantize_scales(torch.zeros(0))
    with pytest.raises(ValueError, match="infinite"):
        quantize_scales(torch.tensor([1.0, torch.inf]))
    assert not quantize_nf4(torch.zeros(2, 64)).dequantize().any()


def test_bitsandbytes_gives_the_same_codes():
    functional = pytest.importorskip("bitsandbytes.functional")
    w = weight(64, 256)
    packed, state = functional.quantize_4bit(w, quant_type="nf4", compress_statistics=False)
    ours = quantize_nf4(w, double=False)
    assert torch.equal(packed.flatten(), ours.packed)
    torch.testing.assert_close(state.absmax, ours.scales)


def test_scales_whose_sum_is_beyond_float32_have_a_mean():
    huge = torch.full((8, 64), 3e38)
    torch.testing.assert_close(quantize_nf4(huge, double=True).dequantize(), huge)
