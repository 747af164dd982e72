"""Wanda with a corrected bias: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail


def statistics(call, batches, real):
    """Means and norms, with their shapes checked."""
    means, norms = expect_parts(call("input_statistics", batches, real), "input_statistics", "means", "norms")
    size = (batches[0].shape[-1],)
    return tuple(
        expect_tensor(part, name, shape=size, dtype="float", dims="K")
        for part, name in ((means, "the means"), (norms, "the norms"))
    )


def pruned(call, weight, bias, means, norms, keep):
    """The pruned weight and the bias, with their shapes checked."""
    got = expect_parts(call("prune", weight, bias, means, norms, keep), "prune", "weight", "bias")
    return (
        expect_tensor(got[0], "the weight", shape=tuple(weight.shape), dtype="float", dims="N K"),
        expect_tensor(got[1], "the bias", shape=tuple(bias.shape), dtype="float", dims="N"),
    )


@check("wanda")
def padding_counts_nowhere(call, rng):
    """Two batches of two and one real tokens; what stands at padding is huge."""
    batches = [torch.tensor([[[3.0], [4.0], [900.0]]]), torch.tensor([[[5.0], [700.0]]])]
    real = [torch.tensor([[True, True, False]]), torch.tensor([[True, False]])]
    means, norms = statistics(call, batches, real)
    expect_close(means, torch.tensor([4.0]), "the means", hint="over the three real tokens, not a mean of two means")
    expect_close(norms, torch.tensor([50.0]).sqrt(), "the norms", hint="the root of the sum of squares of real tokens")


@check("wanda")
def a_large_input_saves_a_small_weight(call, rng):
    """|W| n is (1, 2, 0.5) in the first row and (3, 0.2, 1) in the second."""
    weight, norms = torch.tensor([[1.0, 0.2, 0.5], [-3.0, 0.02, 1.0]]), torch.tensor([1.0, 10.0, 1.0])
    got, _ = pruned(call, weight, torch.zeros(2), torch.zeros(3), norms, 1)
    if not bool((got != 0).any(1).all()):
        fail("a row has lost everything: each output keeps as many weights as the other", got=got)
    expect_close(got, torch.tensor([[0.0, 0.2, 0.0], [-3.0, 0.0, 0.0]]), "the weight")


@check("wanda")
def the_bias_takes_the_mean(call, rng):
    """What goes, 0.5 and -1, meets inputs of mean 2."""
    weight, means = torch.tensor([[4.0, 0.5, -1.0]]), torch.tensor([7.0, 2.0, 2.0])
    _, bias = pruned(call, weight, torch.tensor([10.0]), means, torch.ones(3), 1)
    expect_close(
        bias, torch.tensor([9.0]), "the bias", hint="add W x of what goes, with the mean input, to the old bias"
    )
