"""Absmax by groups: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, fail, known_mistake


def grid(call, weight, bits, group_size):
    """Values and scales, with their shapes and dtypes checked."""
    got = call("quantize_groups", weight, bits, group_size)
    values, scales = expect_parts(got, "quantize_groups", "values", "scales")
    num_rows, num_columns = weight.shape
    values = expect_tensor(values, "the values", shape=(num_rows, num_columns), dtype=torch.int8, dims="N K")
    num_groups = -(-num_columns // group_size)
    return values, expect_tensor(scales, "the scales", shape=(num_rows, num_groups), dtype="float", dims="N G")


@check("groups")
def a_row_of_two_groups(call, rng):
    """Groups of three in 3 bits: steps up to 3, so (1.6, -3, 0.9) has the scale 1, (6, 2, -4.1) the scale 2."""
    values, scales = grid(call, torch.tensor([[1.6, -3.0, 0.9, 6.0, 2.0, -4.1]]), 3, 3)
    mistakes = {
        "each group has a scale of its own": torch.tensor([[2.0, 2.0]]),
        "the largest magnitude counts: -3 is larger than 1.6": torch.tensor([[1.6 / 3, 2.0]]),
        "the largest magnitude is 2^(bits - 1) - 1 steps, here 3": torch.tensor([[0.75, 1.5]]),
    }
    hint = known_mistake(scales, mistakes) or "the largest magnitude of the group over 2^(bits - 1) - 1, nothing added"
    expect_close(scales, torch.tensor([[1.0, 2.0]]), "the scales", hint=hint)
    expect_equal(values.tolist(), [[2, -3, 1, 3, 1, -2]], "the values", hint="divide by the group's scale and round")


@check("groups")
def the_last_group_may_be_short(call, rng):
    """Five columns in groups of two: the last column is a group of its own."""
    weight = torch.tensor([[1.0, 2.0, 3.0, 4.0, 0.5]])
    _, scales = grid(call, weight, 8, 2)
    mistakes = {"each group has a scale of its own": torch.full((3,), 4.0)}
    hint = known_mistake(scales[0] * 127, mistakes)
    if torch.allclose(scales[0, :2] * 127, torch.tensor([2.0, 4.0])):
        hint = "what fills the last group up is none of its numbers"
    expect_close(scales[0] * 127, torch.tensor([2.0, 4.0, 0.5]), "127 times the scales", hint=hint)
    ours = torch.tensor([[64, 127, 95, 127, 127]], dtype=torch.int8), torch.tensor([[2.0, 4.0, 0.5]]) / 127
    got = expect_tensor(call("dequantize_groups", *ours, 2), "the numbers", shape=(1, 5), dtype="float")
    mistakes = {"a scale belongs to neighbours": ours[0] * ours[1].repeat(1, 2)[:, :5]}
    hint = known_mistake(got, mistakes)
    expect_close(got, weight, "the numbers that values of ours stand for", atol=0.03, hint=hint)


@check("groups")
def zeros_stay_zeros(call, rng):
    """A group of zeros beside another."""
    values, scales = grid(call, torch.tensor([[0.0, 0.0, 7.0, -7.0]]), 4, 2)
    if scales.isnan().any() or values[0, :2].any():
        fail("a group of zeros has the scale 0 and the values 0: 0 / 0 is no number", scales=scales, values=values)
    hint = "the scale of a group of zeros is 0" if bool(scales[0, 0] != 0) else ""
    expect_close(scales, torch.tensor([[0.0, 1.0]]), "the scales", hint=hint)
