"""The nearest code and its gradient: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, integer
from autograder.tasks.a15_audio_codecs.oracles import nearest_of, normal


def batch(rng, lengths, codes=9, width=4):
    """(x, vectors, usable, mask): frames behind the ends are nan."""
    x, vectors = normal(rng, len(lengths), max(lengths), width), normal(rng, codes, width)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    usable = torch.rand(codes, generator=rng()) < 0.7
    usable[integer(rng, 0, codes - 1)] = True
    return torch.where(mask[..., None], x, torch.nan), vectors, usable, mask


@check("nearest", points=1)
def codes_are_the_nearest_usable_ones(call, rng):
    """Batches of unequal lengths against a search code by code; the nearest of all is switched off."""
    for lengths in ([3, 7, 1], [5], [2, 2]):
        x, vectors, usable, mask = batch(rng, lengths)
        usable[0] = False
        usable[1] = True
        x[0, 0] = vectors[0]
        codes, quantized, _ = expect_parts(
            call("quantize", x, vectors, usable, mask), "quantize", "codes", "quantized", "commitment"
        )
        codes = expect_tensor(codes, "the codes", shape=tuple(mask.shape), dtype="int", dims="B T")
        rows = zip(x, mask, strict=True)
        want = [[nearest_of(f, vectors, usable) if m else -1 for f, m in zip(*row, strict=True)] for row in rows]
        expect_equal(codes.tolist(), want, "the codes, -1 behind the ends")
        chosen = torch.where(mask[..., None], vectors[codes.clamp(min=0)], 0.0)
        expect_close(quantized, chosen, "the quantized frames, 0 behind the ends", 1e-5)


@check("nearest", points=1)
def of_equals_the_lowest_number_is_taken(call, rng):
    """Vectors that stand twice in the codebook."""
    pair = normal(rng, 2, 3)
    vectors = torch.cat([pair, 3 * pair]).repeat(2, 1)
    order = torch.cat([torch.randperm(4, generator=rng()) for _ in range(2)])
    x, mask = vectors[None, 4 + order], torch.ones(1, 8, dtype=torch.bool)
    codes, _, _ = expect_parts(
        call("quantize", x, vectors, torch.ones(8, dtype=torch.bool), mask),
        "quantize",
        "codes",
        "quantized",
        "commitment",
    )
    codes = expect_tensor(codes, "the codes", shape=(1, 8), dtype="int", dims="B T")
    expect_equal(codes.tolist(), [order.tolist()], "the codes of vectors that stand twice")


@check("nearest", points=1)
def commitment_is_a_mean_over_real_frames(call, rng):
    """Its value, in batches with padding that is nan."""
    x, vectors, usable, mask = batch(rng, [6, 1, 3])
    codes, _, commitment = expect_parts(
        call("quantize", x, vectors, usable, mask), "quantize", "codes", "quantized", "commitment"
    )
    want = (x[mask] - vectors[codes[mask]]).square().mean()
    expect_close(float(commitment), float(want), "the commitment loss", 1e-5, 1e-4)


@check("nearest", points=1)
def the_gradient_is_that_of_autograd(call, rng):
    """Against torch's own gradient of x + (q - x).detach() and of the commitment loss."""
    for beta in (0.0, 0.25, 30.0):
        x, vectors, _, mask = batch(rng, [4, integer(rng, 1, 3)])
        quantized = torch.where(mask[..., None], vectors[integer(rng, 0, 8)].expand_as(x), 0.0)
        upstream = torch.where(mask[..., None], normal(rng, *x.shape), torch.nan)
        real = x[mask].clone().requires_grad_()
        passed = real + (quantized[mask] - real).detach()
        loss = (passed * upstream[mask]).sum() + beta * (real - quantized[mask]).square().mean()
        want = torch.zeros_like(x)
        want[mask] = torch.autograd.grad(loss, real)[0]
        got = call("gradient", x, quantized, mask, upstream, beta)
        expect_close(got, want, f"the gradient with beta {beta}", 1e-5, 1e-4)
