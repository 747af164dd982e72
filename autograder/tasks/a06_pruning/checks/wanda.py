"""Wanda with a corrected bias: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, integer
from autograder.tasks.a06_pruning.visible.wanda import pruned, statistics


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def by_hand(weight, bias, means, norms, keep):
    weight, bias = weight.double().clone(), bias.double().clone()
    for i, row in enumerate(weight.tolist()):
        order = sorted(range(len(row)), key=lambda j: (-abs(row[j]) * norms[j].item(), j))
        for j in order[keep:]:
            bias[i] += row[j] * means[j].double()
            weight[i, j] = 0
    return weight, bias


def expect_same(call, args, what):
    weight, bias = pruned(call, *args)
    want = by_hand(*args)
    expect_equal(weight != 0, want[0] != 0, f"what stays {what}")
    expect_close(weight, want[0], f"the weight {what}")
    expect_close(bias, want[1], f"the bias {what}", 1e-4, 1e-4)


@check("wanda", points=2)
def statistics_of_uneven_batches(call, rng):
    """Batches of several sizes, padding on either side, features with a mean of their own."""
    batches, real, rows = [], [], []
    for size, length in ((2, 5), (1, 3), (6, 4)):
        batch = normal(rng, size, length, 6) * torch.arange(1.0, 7.0) + torch.arange(6.0)
        mask = torch.rand(size, length, generator=rng()) < 0.6
        mask[0, 0] = True
        rows += [batch[i, t].double() for i in range(size) for t in range(length) if mask[i, t]]
        batches.append(batch + (~mask)[..., None] * 1e3)
        real.append(mask)
    means, norms = statistics(call, batches, real)
    expect_close(means, torch.stack(rows).mean(0), "the means", 1e-4, 1e-4)
    expect_close(norms, torch.stack(rows).norm(dim=0), "the norms", 1e-4, 1e-4)


@check("wanda", points=2)
def rows_are_pruned_one_by_one(call, rng):
    """Rows of different scales, inputs of different sizes."""
    for keep in (1, 4, integer(rng, 5, 8)):
        weight = normal(rng, 12, 9) * 10 ** normal(rng, 12, 1)
        norms = 10 ** normal(rng, 9)
        expect_same(call, (weight, normal(rng, 12), normal(rng, 9), norms, keep), f"of rows that keep {keep}")


@check("wanda", points=1)
def ties_and_dead_inputs(call, rng):
    """Weights of few values; inputs that were always 0, of which all may go."""
    weight = torch.randint(1, 4, (30, 16), generator=rng()) * torch.randint(0, 2, (30, 16), generator=rng()).mul(2).sub(
        1
    )
    norms = torch.ones(16)
    norms[[2, 5, 11]] = 0
    expect_same(call, (weight.float(), normal(rng, 30), normal(rng, 16), norms, 7), "with ties and dead inputs")
