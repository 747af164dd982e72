"""NormalFloat and double quantization: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor, integer
from autograder.tasks.a05_quantization_and_lora.visible.normal_float import coded, coded_scales


def levels_of(bits):
    """By bisection of the normal distribution's cumulative function, in float64."""
    half = 2 ** (bits - 1)
    tail = 1 - (1 / (4 * half) + 1 / (4 * half - 2)) / 2

    def quantile(share):
        low, high = -9.0, 9.0
        for _ in range(200):
            middle = low + (high - low) / 2
            low, high = (middle, high) if 0.5 * (1 + math.erf(middle / 2**0.5)) < share else (low, middle)
        return low

    def side(count):
        return [quantile(tail + (0.5 - tail) * i / count) for i in range(count)]

    levels = sorted([*side(half), 0.0, *(-x for x in side(half - 1))])
    return torch.tensor([x / levels[-1] for x in levels])


@check("normal_float", points=2)
def levels_of_any_width(call, rng):
    """Two to six bits in any order, against quantiles by bisection."""
    for bits in (torch.randperm(5, generator=rng()) + 2).tolist():
        got = expect_tensor(call("normal_levels", bits), "the levels", shape=(2**bits,), dtype="float")
        expect_close(got, levels_of(bits), f"the levels of {bits} bits", atol=1e-4)


@check("normal_float", points=2)
def codes_are_those_of_the_nearest_levels(call, rng):
    """Random weights, levels of 3 and 4 bits and uneven ones, against every level in turn."""
    for levels, block in ((levels_of(3), 4), (levels_of(4), 8), (torch.tensor([-1.0, -0.9, 0.0, 0.2, 1.0]), 2)):
        weight = torch.randn(integer(rng, 1, 4), 16, generator=rng()) * 10 ** torch.randn(16, generator=rng())
        codes, scales = coded(call, weight, levels, block)
        want = torch.stack([row.view(-1, block).abs().amax(1) for row in weight])
        expect_close(scales, want, "the scales")
        scaled = weight / want.repeat_interleave(block, 1)
        chosen = (scaled - levels[codes.int()]).abs()
        nearest = (scaled[..., None] - levels).abs().amin(-1)
        expect_close(chosen, nearest, "the distance to the chosen level", atol=1e-5)


@check("normal_float", points=1)
def blocks_of_zeros_are_safe(call, rng):
    """A block of zeros beside others; scales that are all alike."""
    weight = torch.randn(2, 8, generator=rng())
    weight[1, 4:] = 0
    codes, scales = coded(call, weight, levels_of(4), 4)
    expect_close(scales[1, 1], 0.0, "the scale of a block of zeros")
    expect_equal(codes[1, 4:].tolist(), [7] * 4, "the codes of a block of zeros")
    values, steps, mean = coded_scales(call, torch.full((5,), 2.5), 2)
    expect_close(steps, torch.zeros(3), "the steps of equal scales")
    expect_equal(values.tolist(), [0] * 5, "the values of equal scales")
    expect_close(mean, 2.5, "the mean of equal scales")


@check("normal_float", points=2)
def every_block_of_scales_has_its_step(call, rng):
    """Random scales of different sizes, whole blocks and a short one."""
    for count, block in ((12, 4), (7, 3), (5, 8)):
        scales = torch.rand(count, generator=rng()) * 10 ** torch.randn(count, generator=rng()) + 0.1
        values, steps, mean = coded_scales(call, scales, block)
        expect_close(mean, scales.mean(), "the mean", rtol=1e-4)
        rest = scales - scales.mean()
        want = torch.stack([part.abs().max() / 127 for part in rest.split(block)])
        expect_close(steps, want, "the steps", rtol=1e-4)
        back = scales.mean() + values * want.repeat_interleave(block)[:count]
        excess = ((back - scales).abs() - 0.51 * want.repeat_interleave(block)[:count]).clamp(min=0)
        expect_close(excess, torch.zeros(count), "what the error is beyond half a step", atol=1e-4)


@check("normal_float", points=1)
def the_way_back_finds_each_weights_scale(call, rng):
    """Given codes and scales in blocks of several sizes, with a short last block."""
    levels = levels_of(3)
    for num_rows, num_scales, scale_block in ((2, 4, 3), (3, 6, 2), (1, 2, 8)):
        codes = torch.randint(0, 8, (num_rows, 12), generator=rng()).to(torch.uint8)
        values = torch.randint(-127, 128, (num_scales,), generator=rng()).to(torch.int8)
        steps = torch.rand(-(-num_scales // scale_block), generator=rng())
        mean = torch.rand((), generator=rng()) + 200
        got = call("dequantize", codes, levels, values, steps, mean, scale_block)
        got = expect_tensor(got, "the weights", shape=(num_rows, 12), dtype="float")
        scales = [mean + values[i] * steps[i // scale_block] for i in range(num_scales)]
        shared = codes.numel() // num_scales
        want = torch.tensor([levels[int(c)] * scales[i // shared] for i, c in enumerate(codes.flatten())])
        expect_close(got, want.view(num_rows, 12), "the weights", rtol=1e-4, atol=1e-3)
