"""The nearest code and its gradient: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, fail

BOOK = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
ALL, ONE = torch.ones(3, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)


@check("nearest")
def one_frame_takes_its_neighbour(call, rng):
    """(1.6, 0.1) is nearest to code 1, (2, 0)."""
    codes, quantized, commitment = expect_parts(
        call("quantize", torch.tensor([[[1.6, 0.1]]]), BOOK, ALL, ONE), "quantize", "codes", "quantized", "commitment"
    )
    codes = expect_tensor(codes, "the codes", shape=(1, 1), dtype="int", dims="B T")
    expect_equal(codes.tolist(), [[1]], "the code", hint="the smallest distance, not the largest product")
    expect_close(quantized, torch.tensor([[[2.0, 0.0]]]), "the quantized frame", 1e-5)
    expect_close(float(commitment), 0.085, "the commitment loss", 1e-5, hint="(0.4^2 + 0.1^2) / 2")


@check("nearest")
def a_code_that_is_switched_off_is_not_taken(call, rng):
    """Without code 1 the next is code 0."""
    usable = torch.tensor([True, False, True])
    codes, _, _ = expect_parts(
        call("quantize", torch.tensor([[[1.6, 0.1]]]), BOOK, usable, ONE),
        "quantize",
        "codes",
        "quantized",
        "commitment",
    )
    codes = expect_tensor(codes, "the codes", shape=(1, 1), dtype="int", dims="B T")
    expect_equal(codes.tolist(), [[0]], "the code", hint="only usable codes compete; numbers stay those of `vectors`")


@check("nearest")
def the_gradient_goes_straight_through(call, rng):
    """A gradient of (5, -7) at the quantized frame is (5, -7) at x, plus the pull of the commitment loss."""
    x, quantized = torch.tensor([[[1.6, 0.1]]]), torch.tensor([[[2.0, 0.0]]])
    upstream = torch.tensor([[[5.0, -7.0]]])
    got = expect_tensor(call("gradient", x, quantized, ONE, upstream, 0.0), "the gradient", shape=(1, 1, 2))
    if float(got.abs().sum()) == 0:
        fail("no gradient reaches x: an argmin has none, so it is copied past the quantizer; the encoder never learns")
    expect_close(got, upstream, "the gradient without commitment", 1e-6, hint="the derivative of x + sg(q - x) is 1")
    got = call("gradient", x, quantized, ONE, upstream, 10.0)
    hint = "2 (x - q) / 2 numbers, times beta"
    expect_close(got, torch.tensor([[[1.0, -6.0]]]), "the gradient with 10 times the commitment loss", 1e-5, hint=hint)
