"""Cepstra and their changes: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor, fail


@check("cepstra")
def a_flat_spectrum_has_level_and_nothing_else(call, rng):
    """Four bands of 3: coefficient 0 is 3 times the root of 4, the others are 0."""
    got = call("cepstra", torch.full((1, 4, 2), 3.0), 3, 0)
    got = expect_tensor(got, "the coefficients", shape=(1, 3, 2), dtype="float", dims="B count T")
    if abs(float(got[0, 0, 0]) - 6 * math.sqrt(2)) < 1e-4:
        fail("s_0 is the root of 1 / M: the first row has another factor than the others", got=got[0, :, 0])
    hint = "the cosine counts bands from their middle: m + 1/2" if abs(float(got[0, 1, 0])) > 1 else ""
    expect_close(got[0, :, 0], torch.tensor([6.0, 0, 0]), "the coefficients", 1e-5, hint=hint)


@check("cepstra")
def the_lifter_leaves_number_zero(call, rng):
    """With Q = 22 coefficient 1 grows by 2.57, coefficient 0 not at all."""
    log_mel = torch.tensor([4.0, 1.0, 0.0, 2.0])[None, :, None]
    plain, lifted = (call("cepstra", log_mel, 3, lifter)[0, :, 0] for lifter in (0, 22))
    want = torch.tensor([1 + 11 * math.sin(math.pi * i / 22) for i in range(3)])
    expect_close(lifted / plain, want, "lifted over plain", 1e-4, 1e-4, "1 + Q / 2 sin(pi i / Q)")


@check("cepstra")
def a_line_has_its_slope(call, rng):
    """0, 2, 4, ... rises by 2 a frame; at the ends frames are repeated."""
    got = call("deltas", 2 * torch.arange(6.0)[None, None], 2)
    got = expect_tensor(got, "the deltas", shape=(1, 1, 6), dtype="float", dims="B n T")
    want = torch.tensor([1.0, 1.6, 2.0, 2.0, 1.6, 1.0])
    for value, meaning in (
        (2 * want, "divide by twice the sum of the squares"),
        (-want, "what comes later minus what came before"),
        (torch.tensor([1.0, 1.6, 2.0, 2.0, -0.4, -2.0]), "repeat the first and the last frame; zeros stand there"),
        (torch.tensor([0.6, 1.0, 1.2, 1.2, 1.0, 0.6]), "each difference has its weight j"),
    ):
        if torch.allclose(got[0, 0], value.to(got.dtype), atol=1e-4):
            fail(meaning, got=got[0, 0], want=want)
    expect_close(got[0, 0], want, "the deltas", 1e-5, hint="(1 (2 - 0) + 2 (4 - 0)) / 10 in frame 0")
