"""Absmax by groups: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor, integer
from autograder.tasks.a05_quantization_and_lora.visible.groups import grid


def spread(rng, num_rows, num_columns):
    """Weights whose columns differ much in size."""
    sizes = 10 ** (4 * torch.rand(num_columns, generator=rng()) - 2)
    return torch.randn(num_rows, num_columns, generator=rng()) * sizes


def by_hand(weight, bits, group_size):
    """Values and scales, a number at a time."""
    steps, values, scales = 2 ** (bits - 1) - 1, [], []
    for row in weight:
        parts = row.split(group_size)
        scales.append([part.abs().max() / steps for part in parts])
        values.append(
            [round((x / s).item()) if s else 0 for part, s in zip(parts, scales[-1], strict=True) for x in part]
        )
    return torch.tensor(values), torch.tensor(scales)


@check("groups", points=2)
def every_group_has_its_own_grid(call, rng):
    """Widths that the groups divide, in 2 to 8 bits."""
    for bits, group_size in ((8, 4), (4, 8), (2, 2), (3, 16)):
        weight = spread(rng, integer(rng, 1, 5), 16)
        values, scales = grid(call, weight, bits, group_size)
        want = by_hand(weight, bits, group_size)
        expect_close(scales, want[1], f"scales of groups of {group_size} in {bits} bits", rtol=1e-5)
        expect_equal(values.to(torch.int64), want[0], f"values of groups of {group_size} in {bits} bits")


@check("groups", points=1)
def a_short_group_is_a_group(call, rng):
    """Widths that the groups do not divide, and groups wider than the row."""
    for num_columns, group_size in ((7, 3), (5, 4), (3, 8), (9, 2)):
        weight = spread(rng, 3, num_columns)
        values, scales = grid(call, weight, 4, group_size)
        want = by_hand(weight, 4, group_size)
        expect_close(scales, want[1], f"scales of {num_columns} columns in groups of {group_size}", rtol=1e-5)
        expect_equal(values.to(torch.int64), want[0], f"values of {num_columns} columns in groups of {group_size}")


@check("groups", points=1)
def groups_of_zeros_are_safe(call, rng):
    """Zeros in one group, in a short one, and everywhere."""
    weight = spread(rng, 30, 7)
    weight[0, 0:3], weight[1, 6:], weight[2] = 0, 0, 0
    values, scales = grid(call, weight, 4, 3)
    want = by_hand(weight, 4, 3)
    expect_close(scales, want[1], "the scales", rtol=1e-5, hint="a group of zeros has the scale 0")
    expect_equal(values.to(torch.int64), want[0], "the values")


@check("groups", points=1)
def the_way_back_uses_each_groups_scale(call, rng):
    """Given values and scales, with a short last group."""
    for num_columns, group_size in ((8, 4), (7, 3), (3, 5)):
        values = torch.randint(-7, 8, (4, num_columns), generator=rng()).to(torch.int8)
        scales = torch.rand(4, -(-num_columns // group_size), generator=rng()) + 0.1
        got = call("dequantize_groups", values, scales, group_size)
        got = expect_tensor(got, "the numbers", shape=(4, num_columns), dtype="float", dims="N K")
        want = torch.stack([values[:, j] * scales[:, j // group_size] for j in range(num_columns)], 1)
        expect_close(got, want, "the numbers")
