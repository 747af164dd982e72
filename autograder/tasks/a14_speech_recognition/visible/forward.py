"""The forward pass: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail

EVEN = torch.full((2, 2), 0.5, dtype=torch.float64).log()


@check("forward")
def one_label_in_two_frames(call, rng):
    """Of the four paths of two frames three collapse to the label."""
    alpha, loss = expect_parts(call("forward", EVEN, [1], [], 0), "forward", "alpha", "loss")
    alpha = expect_tensor(alpha, "alpha", shape=(2, 3), dtype="float", dims="T states")
    if not math.isfinite(float(loss)) or abs(float(loss) + math.log(0.5)) < 1e-6:
        fail("a path may end in the last label or in the blank behind it: add both", got=loss)
    expect_close(float(loss), -math.log(0.75), "the loss", 1e-6, hint="1-, -1 and 11, a quarter each")
    expect_close(alpha.exp(), torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.75 - 0.25, 0.25]]), "exp of alpha", 1e-6)


@check("forward")
def a_known_blank_leaves_fewer_paths(call, rng):
    """When the first frame is known to be the blank only one path is left."""
    _, loss = expect_parts(call("forward", EVEN, [1], [(0, 0)], 0), "forward", "alpha", "loss")
    expect_close(float(loss), -math.log(0.25), "the loss", 1e-6, hint="only -1 agrees with what is known")


@check("forward")
def equal_labels_need_a_blank(call, rng):
    """Two equal labels cannot be said in two frames."""
    _, loss = expect_parts(call("forward", EVEN, [1, 1], [], 0), "forward", "alpha", "loss")
    if loss != math.inf:
        fail("two equal labels need a blank between them: over the blank leads a step only to another label", got=loss)
