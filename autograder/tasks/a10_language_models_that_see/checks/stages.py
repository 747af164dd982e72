"""Two stages: the hidden checks."""

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a10_language_models_that_see.oracles import gelu, normal
from autograder.tasks.a10_language_models_that_see.visible.stages import NAMES, tuned


def by_hand(weights, features, targets, stage, rate, steps):
    """In float64, with gradients written out."""
    up, down, language = (weights[name].double() for name in NAMES)
    z, y = features.double(), targets.double()
    for _ in range(steps):
        a = z @ up
        hidden = gelu(a)
        h = hidden @ down
        t = torch.tanh(h)
        error = 2 * (t @ language - y) / y.numel()
        slope_language = t.T @ error
        into = (error @ language.T) * (1 - t**2)
        slope_down = hidden.T @ into
        density = torch.exp(-(a**2) / 2) / (2 * torch.pi) ** 0.5
        slope_up = z.T @ ((into @ down.T) * ((1 + torch.erf(a / 2**0.5)) / 2 + a * density))
        up, down = ((1 - 0.1 * rate) * w - rate * g for w, g in ((up, slope_up), (down, slope_down)))
        if stage == 2:
            language = (1 - 0.01 * rate) * language - 0.1 * rate * slope_language
    return dict(zip(NAMES, (up, down, language), strict=True))


def expect_tuned(call, rng, stage, steps, rate=0.2):
    v, d, k, n = integer(rng, 3, 6), integer(rng, 3, 6), integer(rng, 2, 4), integer(rng, 4, 8)
    weights = {"up": normal(rng, v, d), "down": normal(rng, d, d), "language": normal(rng, d, k)}
    features, targets = normal(rng, n, v), 2 * normal(rng, n, k)
    got = tuned(call, weights, features, targets, stage, rate, steps)
    want = by_hand(weights, features, targets, stage, rate, steps)
    for name in NAMES:
        expect_close(got[name], want[name], f"weight {name!r} after {steps} steps of stage {stage}", 1e-4, 1e-3)


@check("stages", points=2)
def the_first_stage(call, rng):
    """One step and several."""
    for steps in (1, 4):
        expect_tuned(call, rng, 1, steps)


@check("stages", points=2)
def the_second_stage(call, rng):
    """One step and several."""
    for steps in (1, 5):
        expect_tuned(call, rng, 2, steps)


@check("stages", points=1)
def no_step_and_other_rates(call, rng):
    """Nothing moves without a step; a larger rate in both stages."""
    expect_tuned(call, rng, 2, 0)
    for stage in (1, 2):
        expect_tuned(call, rng, stage, 3, rate=0.7)
