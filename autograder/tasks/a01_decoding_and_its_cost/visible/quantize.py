"""Eight bits a number: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, explained

A_ROWS_SCALE = (
    "scale and low belong to a whole row, so beside the numbers they need a last dimension: scales[..., None]"
)


def quantized(call, x):
    """Codes, scales and lowest values, with their kinds checked."""
    with explained(RuntimeError=A_ROWS_SCALE):
        codes, *rest = expect_parts(call("quantize_rows", x), "quantize_rows", "codes", "scales", "lows")
    codes, rows = expect_tensor(codes, "codes", shape=tuple(x.shape), dtype=torch.uint8), tuple(x.shape[:-1])
    scales, lows = (
        expect_tensor(part, name, shape=rows, dtype=torch.float32)
        for part, name in zip(rest, ("scales", "lows"), strict=True)
    )
    return codes, scales, lows


def dequantized(call, codes, scales, lows):
    """The values of codes, with their kind checked."""
    with explained(RuntimeError=A_ROWS_SCALE):
        got = call("dequantize_rows", codes, scales, lows)
    return expect_tensor(got, "the values", shape=tuple(codes.shape), dtype=torch.float32)


@check("quantize")
def a_row_spans_the_whole_range(call, rng):
    """The lowest value of each row becomes 0, the highest 255."""
    codes, scales, lows = quantized(call, torch.tensor([[1.0, -2.0, 0.6], [0.0, 255.0, 63.6]]))
    hint = "each row has its own: highest less lowest value, over 255"
    expect_close(scales, torch.tensor([3 / 255, 1.0]), "the scales", hint=hint)
    expect_close(lows, torch.tensor([-2.0, 0.0]), "the lows", hint="the lowest value of each row")
    hint = "take the row's lowest value off, and round to the nearest whole number, do not cut off"
    expect_equal(codes.tolist(), [[255, 0, 221], [0, 255, 64]], "the codes", hint=hint)


@check("quantize")
def values_are_codes_times_their_rows_scale(call, rng):
    """Codes 64, 0 and 2 of scale 0.5 above -4, codes 0, 255 and 3 of scale 10 above 100."""
    codes = torch.tensor([[64, 0, 2], [0, 255, 3]], dtype=torch.uint8)
    got = dequantized(call, codes, torch.tensor([0.5, 10.0]), torch.tensor([-4.0, 100.0]))
    hint = "turn the codes to float first: uint8 holds no fraction and nothing above 255; code 0 is the lowest value"
    expect_close(got, torch.tensor([[28.0, -4.0, -3.0], [100.0, 2650.0, 130.0]]), "the values", hint=hint)


@check("quantize")
def a_row_of_zeros_is_no_division_by_zero(call, rng):
    """Zeros come back as zeros and threes as threes, beside a row that has other numbers."""
    codes, scales, lows = quantized(call, torch.tensor([[0.0, 0.0], [3.0, 3.0], [1.0, -2.0]]))
    hint = "0/0 is NaN, and NaN as uint8 is anything"
    expect_equal(codes.tolist(), [[0, 0], [0, 0], [255, 0]], "the codes", hint=hint)
    hint = "a row of equal numbers has scale 0, exactly; guard the division, not the scale"
    expect_close(scales, torch.tensor([0.0, 0.0, 3 / 255]), "the scales", atol=0, hint=hint)
    back = dequantized(call, codes, scales, lows)
    expect_close(back[:2], torch.tensor([[0.0, 0.0], [3.0, 3.0]]), "the values of rows of equal numbers")
