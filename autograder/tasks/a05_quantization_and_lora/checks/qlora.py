"""Both passes of QLoRA: the hidden checks."""

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a05_quantization_and_lora.visible.qlora import gradients, read


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def problem(rng, tokens, d_out, num_blocks, block, rank):
    levels = normal(rng, 16).sort().values
    codes = torch.randint(0, 16, (d_out, num_blocks * block), generator=rng()).to(torch.uint8)
    scales = torch.rand(d_out, num_blocks, generator=rng()) + 0.1
    A, B = normal(rng, rank, num_blocks * block), normal(rng, d_out, rank)
    return normal(rng, tokens, num_blocks * block), codes, scales, levels, A, B, float(integer(rng, 3, 9))


def by_autograd(x, codes, scales, levels, A, B, alpha, grad=None):
    """y and, given its gradient, those of x, A and B, in float64."""
    x, A, B = (part.double().requires_grad_() for part in (x, A, B))
    block = codes.shape[1] // scales.shape[1]
    base = torch.stack([scales[:, k // block] * levels[codes[:, k].int()] for k in range(codes.shape[1])], 1).double()
    y = x @ base.T + alpha / len(A) * x @ A.T @ B.T
    if grad is None:
        return y.detach()
    return torch.autograd.grad(y, (x, A, B), grad.double())


SHAPES = ((5, 6, 3, 2, 2), (1, 4, 1, 8, 1), (8, 3, 4, 4, 3))


@check("qlora", points=2)
def the_output_follows_the_formula(call, rng):
    """Random shapes, blocks and ranks."""
    for shape in SHAPES:
        args = problem(rng, *shape)
        y, _ = read(call, *args)
        expect_close(y, by_autograd(*args), "y", 1e-3, 1e-4)


@check("qlora", points=2)
def the_gradient_passes_through_the_base(call, rng):
    """dx against autograd in float64."""
    for shape in SHAPES:
        args, grad = problem(rng, *shape), normal(rng, shape[0], shape[1])
        _, kept = read(call, *args)
        dx, _, _ = gradients(call, grad, kept, *args)
        expect_close(dx, by_autograd(*args, grad)[0], "dx", 1e-3, 1e-4)


@check("qlora", points=1)
def the_adapter_gets_its_gradients(call, rng):
    """dA and dB against autograd in float64."""
    for shape in SHAPES:
        args, grad = problem(rng, *shape), normal(rng, shape[0], shape[1])
        _, kept = read(call, *args)
        _, dA, dB = gradients(call, grad, kept, *args)
        want = by_autograd(*args, grad)
        expect_close(dA, want[1], "dA", 1e-3, 1e-4)
        expect_close(dB, want[2], "dB", 1e-3, 1e-4)


@check("qlora", points=1)
def layers_do_not_share_what_they_keep(call, rng):
    """Two forward passes, then their backward passes in another process: all that a pass needs is in its `kept`."""
    layers = [problem(rng, *shape) for shape in (SHAPES[0], SHAPES[0])]
    kept = [read(call, *args)[1] for args in layers]
    call.forget()
    for args, parts in reversed(list(zip(layers, kept, strict=True))):
        grad = normal(rng, *SHAPES[0][:2])
        for got, want, name in zip(
            gradients(call, grad, parts, *args), by_autograd(*args, grad), ("dx", "dA", "dB"), strict=True
        ):
            expect_close(got, want, name, 1e-3, 1e-4)
