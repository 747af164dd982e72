import torch

from autograder.engine import check, expect_equal


@check("double")
def doubles_three(call, rng):
    """Twice three is six."""
    expect_equal(call("double", 3), 6, "twice three", hint="add the number to itself")


@check("mix")
def keeps_the_shape(call, rng):
    """The result has the shape of the input."""
    x = torch.rand(4, 4, generator=rng)
    expect_equal(tuple(call("mix", x, 2).shape), (4, 4), "the shape")
