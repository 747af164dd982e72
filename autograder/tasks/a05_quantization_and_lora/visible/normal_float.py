"""NormalFloat and double quantization: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, known_mistake

NF3 = [-1.0, -0.5350227, -0.2469314, 0.0, 0.1833375, 0.3819939, 0.6229857, 1.0]


def coded(call, weight, levels, block):
    """Codes and scales, with their shapes and dtypes checked."""
    codes, scales = expect_parts(call("quantize_levels", weight, levels, block), "quantize_levels", "codes", "scales")
    codes = expect_tensor(codes, "the codes", shape=tuple(weight.shape), dtype=torch.uint8, dims="N K")
    shape = len(weight), weight.shape[1] // block
    return codes, expect_tensor(scales, "the scales", shape=shape, dtype="float", dims="N K/block")


def coded_scales(call, scales, block):
    """Values, steps and mean, with their shapes and dtypes checked."""
    got = call("quantize_scales", scales, block)
    values, steps, mean = expect_parts(got, "quantize_scales", "values", "steps", "mean")
    values = expect_tensor(values, "the values", shape=(len(scales),), dtype=torch.int8)
    steps = expect_tensor(steps, "the steps", shape=(-(-len(scales) // block),), dtype="float")
    return values, steps, expect_tensor(mean, "the mean", shape=(), dtype="float")


@check("normal_float")
def four_bits_give_the_published_levels(call, rng):
    """NF4 has sixteen levels, seven below zero and eight above."""
    got = expect_tensor(call("normal_levels", 4), "the levels", shape=(16,), dtype="float")
    ends = {0: -1.0, 1: -0.6961928, 7: 0.0, 8: 0.0795803, 14: 0.7229568, 15: 1.0}
    for number, level in ends.items():
        hint = "h positive levels, a zero, h - 1 negative ones; all over the largest"
        if abs(float(got[1]) + 0.6935) < 1e-4:
            hint = "t takes half of both fractions, 1 / 4h and 1 / (4h - 2)"
        expect_close(got[number], level, f"level {number}", atol=1e-5, hint=hint)


@check("normal_float")
def three_bits_have_levels_of_their_own(call, rng):
    """NF3 has eight levels: h is 4."""
    got = expect_tensor(call("normal_levels", 3), "the levels", shape=(8,), dtype="float")
    hint = "t depends on h, and h on the bits" if bool((got == 0).any()) and float(got[-1]) == 1 else ""
    expect_close(got, torch.tensor(NF3), "the levels of 3 bits", atol=1e-5, hint=hint)


@check("normal_float")
def the_nearest_level_is_taken(call, rng):
    """Levels -1, 0, 0.5, 1 and blocks of two, the last of zeros."""
    levels = torch.tensor([-1.0, 0.0, 0.5, 1.0])
    codes, scales = coded(call, torch.tensor([[2.0, 0.8, -4.0, 1.2, 0.0, 0.0]]), levels, 2)
    expect_close(scales, torch.tensor([[2.0, 4.0, 0.0]]), "the scales", hint="the largest magnitude of a block")
    hint = "0.4 and 0.3 are nearer to 0.5 than to 0" if codes[0, :4].tolist() != [3, 2, 0, 2] else ""
    hint = hint or "weights of a block of zeros have the code of the level 0: 0 / 0 is no number"
    expect_equal(codes.tolist(), [[3, 2, 0, 2, 1, 1]], "the codes", hint=hint)


@check("normal_float")
def scales_are_rounded_around_their_mean(call, rng):
    """Scales 1, 3 and 2, 6 in blocks of two: the mean is 3, what is left is -2, 0, -1, 3."""
    values, steps, mean = coded_scales(call, torch.tensor([1.0, 3.0, 2.0, 6.0]), 2)
    expect_close(mean, 3.0, "the mean")
    mistakes = {
        "subtract the mean first": torch.tensor([3.0, 6.0]),
        "the mean is that of all scales, not of each block": torch.tensor([1.0, 2.0]),
        "each block has a step of its own": torch.tensor([3.0, 3.0]),
    }
    expect_close(
        steps * 127, torch.tensor([2.0, 3.0]), "127 times the steps", hint=known_mistake(127 * steps, mistakes)
    )
    expect_equal(values.tolist(), [-127, 0, -42, 127], "the values")


@check("normal_float")
def the_way_back_adds_the_mean(call, rng):
    """Two blocks of two weights whose scales are 3 - 1 and 3 + 2."""
    levels, codes = torch.tensor([-1.0, 0.0, 0.5, 1.0]), torch.tensor([[3, 2, 0, 1]], dtype=torch.uint8)
    given = torch.tensor([-2, 4], dtype=torch.int8), torch.tensor([0.5]), torch.tensor(3.0)
    got = expect_tensor(call("dequantize", codes, levels, *given, 2), "the weights", shape=(1, 4), dtype="float")
    mistakes = {
        "a scale belongs to neighbours": torch.tensor([[2.0, 2.5, -2.0, 0.0]]),
        "the mean is added to step times value": torch.tensor([[-1.0, -0.5, -2.0, 0.0]]),
    }
    hint = known_mistake(got, mistakes) or "scale = mean + step value, weight = level times scale"
    expect_close(got, torch.tensor([[2.0, 1.0, -5.0, 0.0]]), "the weights", hint=hint)
