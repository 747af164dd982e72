"""Doubling: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor


@check("double", points=1)
def doubles_any_number(call, rng):
    """Any number is doubled."""
    number = int(torch.randint(10, 99, (), generator=rng()))
    expect_equal(call("double", number), 2 * number, "twice the number")


@check("double", points=2, deadline_s=3)
def doubles_a_tensor(call, rng):
    """A tensor is doubled, and the input is left alone."""
    x = torch.rand(5, generator=rng())
    got = expect_tensor(call("double", x), "the result", shape=(5,), dtype=torch.float32)
    expect_close(got, 2 * x, "twice the tensor")
