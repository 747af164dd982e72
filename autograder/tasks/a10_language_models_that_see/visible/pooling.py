"""Attention pooling: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor


def pooled(call, features, grid, there, weights, heads):
    got = call("pool", features, grid, there, *weights, heads)
    shape = (len(features), grid[0] * grid[1] // 4, weights[2].shape[1])
    return expect_tensor(got, "the pooled windows", shape=shape, dtype="float", dims="B M d")


@check("pooling")
def windows_of_equal_patches(call, rng):
    """Four windows whose patches are alike: attention over equals gives the value of one, in the windows' order."""
    features = torch.tensor([[1.0], [1], [2], [2], [1], [1], [2], [2], [3], [3], [4], [4], [3], [3], [4], [4]])[None]
    eye = torch.eye(1)
    got = pooled(call, features, (4, 4), torch.ones(1, 16, dtype=torch.bool), (eye, eye, 10 * eye), 1)
    hint = "windows go row by row, two by two patches each" if got.flatten().tolist() != [10.0, 20, 30, 40] else ""
    expect_close(got.flatten(), torch.tensor([10.0, 20, 30, 40]), "the pooled windows", hint=hint)


@check("pooling")
def the_mean_asks(call, rng):
    """One window of 0, 1, 2 and a missing patch of 100: the query is the mean, 1, of what is there."""
    features, eye = torch.tensor([[[0.0], [1], [2], [100]]]), torch.eye(1)
    there = torch.tensor([[True, True, True, False]])
    weights = torch.tensor([0.0, 1, 2]).softmax(0)
    got = pooled(call, features, (2, 2), there, (eye, eye, eye), 1)
    expect_close(got.flatten(), (weights * torch.tensor([0.0, 1, 2])).sum()[None], "the pooled window", 1e-5, 1e-4)
    nothing = pooled(call, features, (2, 2), ~there & False, (eye, eye, eye), 1)
    expect_close(nothing, torch.zeros(1, 1, 1), "a window without any patch")
