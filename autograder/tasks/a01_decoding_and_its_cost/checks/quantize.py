"""Eight bits a number: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, fail
from autograder.tasks.a01_decoding_and_its_cost.visible.quantize import dequantized, quantized


def rows_of(rng, *shape):
    """Random rows that lie more on one side of zero."""
    return torch.randn(*shape, generator=rng()) + 2 * torch.rand(*shape[:-1], 1, generator=rng()) - 0.3


def ranges(x):
    """Lowest value of each row, and highest less lowest over 255, in float64."""
    low, high = x.double().aminmax(dim=-1)
    return low, (high - low) / 255


@check("quantize", points=1)
def each_row_has_its_own_scale(call, rng):
    """Rows of very different size, in tensors of two to four dimensions."""
    for shape in ((5, 8), (3, 4, 16), (2, 3, 2, 8)):
        x = rows_of(rng, *shape) * torch.logspace(-3, 3, shape[0]).view(-1, *(1,) * (len(shape) - 1))
        _, scales, lows = quantized(call, x)
        low, scale = ranges(x)
        hint = (
            "highest less lowest value of the row, over 255; one scale for all lets the largest row swallow the others"
        )
        expect_close(scales, scale, f"the scales of {shape}", atol=0, rtol=1e-4, hint=hint)
        expect_close(lows, low, f"the lows of {shape}", atol=0, rtol=1e-6, hint="the lowest value of each row")


@check("quantize", points=1)
def codes_are_rounded_to_the_nearest(call, rng):
    """Codes against rounding in float64, near ties apart; the ends of the range are reached."""
    x = rows_of(rng, 20, 32)
    codes, *_ = quantized(call, x)
    low, scale = ranges(x)
    exact = (x.double() - low[..., None]) / scale[..., None]
    clear = (exact - exact.floor() - 0.5).abs() > 0.01
    wrong = (codes.double() != exact.round()) & clear
    if bool((codes.double() == exact.trunc())[clear].all()):
        fail("the numbers were cut off: round to the nearest")
    if bool(wrong.any()):
        fail("codes differ from the nearest whole number", got=codes[wrong][:4], want=exact[wrong][:4])
    expect_equal([int(codes.min()), int(codes.max())], [0, 255], "the smallest and the largest code")


@check("quantize", points=1)
def the_error_is_at_most_half_a_step(call, rng):
    """There and back, no number moves by more than half a scale."""
    for size, shape in ((1e-30, (30, 16)), (1e-4, (16,)), (1.0, (30, 16)), (1e4, (2, 5, 16))):
        x = size * rows_of(rng, *shape)
        codes, scales, lows = quantized(call, x)
        back = dequantized(call, codes, scales, lows)
        stored = codes.double() * scales.double()[..., None] + lows.double()[..., None]
        hint = "the values are made of the codes, scales and lows that are given, and of nothing else"
        expect_close(back, stored, "the values of your own codes", atol=1e-5 * size, rtol=1e-4, hint=hint)
        off = ((stored - x).abs() / (ranges(x)[1][..., None] / 2)).max()
        if not off <= 1.001:
            fail("a number moved by more than half a step", steps=float(off) / 2)


@check("quantize", points=1)
def zeros_and_outliers_are_safe(call, rng):
    """Rows of equal numbers stay as they are; a row with one outlier keeps it exactly, and the others come back."""
    x = rows_of(rng, 5, 8)
    x[1], x[4] = 0.0, x[4, 0].item()
    x[2, 3] = -1000.0
    codes, scales, lows = quantized(call, x)
    back = dequantized(call, codes, scales, lows)
    expect_close(scales[[1, 4]], torch.zeros(2), "the scales of rows of equal numbers", atol=0)
    expect_close(back[1], torch.zeros(8), "a row of zeros", hint="0/0 is NaN")
    expect_close(back[4], x[4], "a row of equal numbers", hint="its scale is 0, its lowest value is all that it holds")
    expect_close(back[2, 3], -1000.0, "an outlier", rtol=1e-5)
    expect_equal(int(codes[2, 3]), 0, "the code of the lowest value")
    low, step = (part[..., None] for part in ranges(x))
    if not bool(((codes.double() * step + low - x).abs() <= 1.001 * step).all()):
        fail("beside a row of zeros and one with an outlier a code is more than a whole number off", got=codes[0])


@check("quantize", points=2)
def values_are_codes_times_scales(call, rng):
    """Dequantization alone, on codes, scales and lows of our own, up to the largest codes."""
    codes = torch.randint(256, (6, 5, 8), generator=rng()).to(torch.uint8)
    scales, lows = torch.rand(6, 5, generator=rng()) * 10, 100 * torch.randn(6, 5, generator=rng())
    got = dequantized(call, codes, scales, lows)
    hint = "scale and low belong to the row; uint8 arithmetic wraps around, so turn to float first"
    want = codes.double() * scales.double()[..., None] + lows.double()[..., None]
    expect_close(got, want, "codes times scales, above the lows", atol=1e-3, rtol=1e-5, hint=hint)
