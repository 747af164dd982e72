"""Hard concrete masks: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1


def stepped(call, log_alpha, multipliers, slope, target, mask_rate, multiplier_rate):
    """Log alphas and multipliers after a step, with their shapes checked."""
    got = call("min_max_step", log_alpha, multipliers, slope, target, mask_rate, multiplier_rate)
    alphas, pair = expect_parts(got, "min_max_step", "log_alpha", "multipliers")
    alphas = expect_tensor(alphas, "log_alpha", shape=tuple(log_alpha.shape), dtype="float", dims="G n")
    return alphas, expect_tensor(pair, "multipliers", shape=(2,), dtype="float")


@check("hard_concrete")
def masks_reach_both_ends(call, rng):
    """At log alpha 0: u = 0.5 gives 0.5, u near an end gives exactly 0 or 1."""
    u = torch.tensor([0.01, 0.5, 0.99])
    z = expect_tensor(call("sample", torch.zeros(3), u, BETA, GAMMA, ZETA), "the masks", shape=(3,), dtype="float")
    if z[0] != 0 or z[2] != 1:
        fail("no mask is exactly 0 or 1: stretch s from gamma to zeta, then clamp", masks=z)
    expect_close(z[1], torch.tensor(0.5), "the mask of u = 0.5")


@check("hard_concrete")
def the_probability_of_an_open_mask(call, rng):
    """At log alpha 0 with the usual constants."""
    got = call("open_probability", torch.zeros(1), BETA, GAMMA, ZETA)
    got = expect_tensor(got, "the probability", shape=(1,), dtype="float")
    want = 1 / (1 + math.exp(2 / 3 * math.log(0.1 / 1.1)))
    expect_close(got, torch.tensor([want]), "the probability", hint="sigmoid(log alpha - beta log(-gamma / zeta))")


@check("hard_concrete")
def multipliers_ascend(call, rng):
    """All masks open, half of them should go: the error is negative, so lambda_1 falls and lambda_2 rises."""
    log_alpha, pair = torch.full((2, 4), 4.0), torch.tensor([0.0, 1.0])
    moved, after = stepped(call, log_alpha, pair, torch.zeros(2, 4), 0.5, 1.0, 1.0)
    p = 1 / (1 + math.exp(-4 + 2 / 3 * math.log(0.1 / 1.1)))
    error = 1 - p - 0.5
    if after[0] > 0 or after[1] < 1:
        fail("the multipliers descend, and will pay for breaking the constraint: they go UP the gradient", got=after)
    expect_close(after, torch.tensor([error, 1 + error**2]), "the multipliers")
    want = 4 + 2 * error * p * (1 - p) / 8
    expect_close(
        moved, torch.full((2, 4), want), "log_alpha", atol=1e-6, hint="L is a mean over groups, s_hat over masks"
    )
