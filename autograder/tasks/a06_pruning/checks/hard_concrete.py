"""Hard concrete masks: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor
from autograder.tasks.a06_pruning.visible.hard_concrete import stepped


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


CONSTANTS = ((2 / 3, -0.1, 1.1), (0.5, -0.3, 1.2), (1.0, -0.05, 1.4))


@check("hard_concrete", points=1)
def masks_follow_the_formula(call, rng):
    """Random log alphas and constants, a number at a time."""
    for beta, gamma, zeta in CONSTANTS:
        alpha, u = 3 * normal(rng, 5, 40), torch.rand(5, 40, generator=rng()).clamp(1e-4, 1 - 1e-4)
        got = expect_tensor(call("sample", alpha, u, beta, gamma, zeta), "the masks", shape=(5, 40), dtype="float")
        rows = [
            min(1.0, max(0.0, 1 / (1 + math.exp(-(math.log(x) - math.log1p(-x) + a) / beta)) * (zeta - gamma) + gamma))
            for a, x in zip(alpha.double().flatten().tolist(), u.double().flatten().tolist(), strict=True)
        ]
        expect_close(got.flatten(), torch.tensor(rows), "the masks", 1e-3, 1e-4)


@check("hard_concrete", points=1)
def probabilities_are_those_of_the_masks(call, rng):
    """Random constants."""
    for beta, gamma, zeta in CONSTANTS:
        alpha = 3 * normal(rng, 4, 6)
        got = call("open_probability", alpha, beta, gamma, zeta)
        got = expect_tensor(got, "the probabilities", shape=(4, 6), dtype="float")
        expect_close(got, (alpha.double() - beta * math.log(-gamma / zeta)).sigmoid(), "the probabilities", 1e-4, 1e-5)


def by_autograd(log_alpha, multipliers, slope, target, mask_rate, multiplier_rate):
    alpha, pair = (x.double().requires_grad_(True) for x in (log_alpha, multipliers))
    error = 1 - (alpha - 2 / 3 * math.log(0.1 / 1.1)).sigmoid().mean(1) - target
    down, up = torch.autograd.grad((pair[0] * error + pair[1] * error**2).mean(), (alpha, pair))
    moved = alpha.detach() - mask_rate * (slope.double() + down)
    return moved.clamp(-math.log(100), math.log(100)), pair.detach() + multiplier_rate * up


@check("hard_concrete", points=2)
def a_step_goes_down_and_up(call, rng):
    """Several groups, large multipliers, against autograd."""
    for groups, n in ((1, 6), (4, 5), (3, 12)):
        args = normal(rng, groups, n), 20 * normal(rng, 2), normal(rng, groups, n), 0.4, 0.7, 0.9
        moved, pair = stepped(call, *args)
        want = by_autograd(*args)
        expect_close(pair, want[1], "the multipliers", 1e-4, 1e-4, hint="they ascend, from the error before the step")
        expect_close(moved, want[0], "log_alpha", 1e-4, 1e-4, hint="down on loss plus L, by the old multipliers")


@check("hard_concrete", points=1)
def log_alphas_stay_within_reach(call, rng):
    """Steep losses."""
    args = 4 * normal(rng, 2, 30), torch.tensor([5.0, 20.0]), 30 * normal(rng, 2, 30), 0.3, 0.5, 0.0
    moved, _ = stepped(call, *args)
    expect_close(moved, by_autograd(*args)[0], "log_alpha", 1e-4, 1e-4, hint="clamp to plus and minus ln 100")


@check("hard_concrete", points=1)
def many_steps_meet_the_target(call, rng):
    """200 steps on a loss that wants all masks open: the sparsity comes to its target, step by step."""
    alpha, pair = torch.full((2, 10), 2.0), torch.zeros(2)
    slope = -0.002 * torch.rand(2, 10, generator=rng())
    for number in range(200):
        before = alpha, pair, slope, 0.5, 4.0, 0.5
        alpha, pair = stepped(call, *before)
        if number % 40 == 0:
            expect_close(alpha, by_autograd(*before)[0], f"log_alpha after step {number + 1}", 1e-3, 1e-3)
    sparsity = 1 - (alpha - 2 / 3 * math.log(0.1 / 1.1)).sigmoid().mean()
    expect_close(sparsity, torch.tensor(0.5), "the expected sparsity after 200 steps", atol=0.12)
