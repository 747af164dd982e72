"""The gradient of a trellis: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor, fail

NO = -math.inf
EVEN = torch.full((2, 2), 0.5, dtype=torch.float64).log()
ALPHA = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25]], dtype=torch.float64).log()
BETA = torch.tensor([[0.5, 1.0, 0.5], [0.0, 1.0, 1.0]], dtype=torch.float64).log()


@check("gradient")
def a_third_and_a_half(call, rng):
    """The blank is said in a third of the paths in each frame, and the network gives it a half."""
    got = expect_tensor(call("gradient", EVEN, ALPHA, BETA, [1], 0), "the gradient", shape=(2, 2), dtype="float")
    if float(got[0, 0]) < 0:
        fail("the derivative of the loss is what the network says less what it should say", got=got)
    expect_close(got, torch.tensor([[1 / 6, -1 / 6]] * 2), "the gradient", 1e-6, hint="1/2 - 1/3 and 1/2 - 2/3")


@check("gradient")
def the_label_is_in_the_middle(call, rng):
    """Said with 2/3 in each frame: the mean frame is 1/2."""
    got = expect_tensor(call("times", ALPHA, BETA), "the times", shape=(1,), dtype="float")
    expect_close(got, torch.tensor([0.5]), "the time of the label", 1e-6, hint="weighted by alpha beta / p")


@check("gradient")
def a_trellis_without_a_path(call, rng):
    """All nodes thrown away: no gradient, and no time."""
    none = torch.full((2, 3), NO, dtype=torch.float64)
    expect_close(call("gradient", EVEN, none, none, [1], 0), torch.zeros(2, 2), "the gradient", hint="0 where p is 0")
