"""Global magnitude: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, fail


def masks_of(call, weights, keep, least):
    """The masks, with their number, shapes and dtype checked."""
    got = call("keep_globally", weights, keep, least)
    if not isinstance(got, list | tuple) or len(got) != len(weights):
        fail("a list with a mask for each tensor is needed; is a `return` missing?", got=type(got).__name__)
    return [
        expect_tensor(mask, f"mask {i}", shape=tuple(weight.shape), dtype=torch.bool)
        for i, (mask, weight) in enumerate(zip(got, weights, strict=True))
    ]


@check("magnitude")
def the_largest_of_all_stay(call, rng):
    """Two matrices, the second with larger weights."""
    weights = [torch.tensor([[0.1, -0.9], [0.2, 0.3]]), torch.tensor([[-5.0, 0.25, 4.0]])]
    first, second = masks_of(call, weights, 3, 0)
    expect_equal(
        first.tolist(), [[False, True], [False, False]], "the first mask", hint="by magnitude, over all tensors"
    )
    expect_equal(second.tolist(), [[True, False, True]], "the second mask")


@check("magnitude")
def equal_weights_are_cut_in_order(call, rng):
    """Six equal weights, four stay."""
    first, second = masks_of(call, [torch.ones(3), -torch.ones(3)], 4, 0)
    if int(first.sum() + second.sum()) != 4:
        fail("equal weights: a threshold keeps all of them or none; exactly 4 must stay", masks=[first, second])
    expect_equal([first.tolist(), second.tolist()], [[True] * 3, [True, False, False]], "the masks")


@check("magnitude")
def a_small_matrix_keeps_its_least(call, rng):
    """The second tensor would lose all its weights."""
    first, second = masks_of(call, [torch.tensor([3.0, 4.0, 5.0]), torch.tensor([0.1, -0.2, 0.0])], 3, 1)
    expect_equal(second.tolist(), [False, True, False], "the second mask", hint="its largest weight stays in any case")
    expect_equal(first.tolist(), [False, True, True], "the first mask", hint="the least counts towards `keep`")
