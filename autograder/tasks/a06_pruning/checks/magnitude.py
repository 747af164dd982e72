"""Global magnitude: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, integer
from autograder.tasks.a06_pruning.visible.magnitude import masks_of


def by_hand(weights, keep, least):
    """(tensor, place) of what stays, from lists."""
    entries = [(abs(x), -i, -j) for i, w in enumerate(weights) for j, x in enumerate(w.flatten().tolist())]
    ordered = sorted(entries, reverse=True)
    fixed = [e for i in range(len(weights)) for e in [e for e in ordered if e[1] == -i][:least]]
    left = [e for e in ordered if e not in fixed]
    kept = {(-i, -j) for _, i, j in [*fixed, *left[: keep - len(fixed)]]}
    return [torch.tensor([(i, j) in kept for j in range(w.numel())]).view(w.shape) for i, w in enumerate(weights)]


def expect_same(call, weights, keep, least, what):
    for i, (got, want) in enumerate(
        zip(masks_of(call, weights, keep, least), by_hand(weights, keep, least), strict=True)
    ):
        expect_equal(got, want, f"mask {i} {what}")


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


@check("magnitude", points=2)
def matrices_of_different_scales(call, rng):
    """Random weights, no least."""
    weights = [normal(rng, 4, 6), 3 * normal(rng, 5, 2), 0.2 * normal(rng, 7)]
    for keep in (integer(rng, 3, 12), 30, 0, 41):
        expect_same(call, weights, keep, 0, f"with {keep} of 41 kept")


@check("magnitude", points=1)
def many_weights_are_equal(call, rng):
    """Weights of few values, zeros among them."""
    for _ in range(4):
        weights = [torch.randint(-2, 3, shape, generator=rng()).float() for shape in ((40, 9), (3, 50))]
        expect_same(call, weights, integer(rng, 150, 400), 0, "of weights with few values")


@check("magnitude", points=1)
def everyone_keeps_the_least(call, rng):
    """Small matrices beside large ones, and one with fewer weights than the least."""
    weights = [normal(rng, 6, 5), 0.001 * normal(rng, 4, 4), 0.01 * normal(rng, 2)]
    for least in (1, 3):
        expect_same(call, weights, integer(rng, 12, 20), least, f"with at least {least} each")
    expect_same(call, weights, 8, 3, "where the least is all")


@check("magnitude", points=1)
def the_weights_stay_as_they_are(call, rng):
    """The same call twice."""
    weights = [normal(rng, 5, 5), 0.01 * normal(rng, 3)]
    expect_same(call, weights, 9, 2, "in the first call")
    expect_same(call, weights, 9, 2, "in the second call")
