"""Hinton's loss: the hidden checks."""

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a07_distillation.visible.loss import loss_and_gradient


def logits(rng, rows, classes, scale=2.0):
    return tuple(scale * torch.randn(rows, classes, generator=rng()) for _ in range(2))


def some(rng, rows):
    real = torch.rand(rows, generator=rng()) < 0.6
    order = torch.randperm(rows, generator=rng())
    real[order[:2]], real[order[2:4]] = True, False
    return real


def by_autograd(student, teacher, temperature, real):
    z = student.double()[real].requires_grad_(True)
    v = teacher.double()[real]
    p, log_q = (v / temperature).softmax(-1), (z / temperature).log_softmax(-1)
    loss = temperature**2 * (torch.xlogy(p, p) - torch.where(p > 0, p * log_q, 0.0)).sum() / len(z)
    gradient = torch.zeros(student.shape, dtype=torch.float64)
    gradient[real] = torch.autograd.grad(loss, z)[0]
    return loss.detach(), gradient


def expect_same(call, student, teacher, temperature, real, what):
    loss, gradient = loss_and_gradient(call, student, teacher, temperature, real)
    want = by_autograd(student, teacher, temperature, real)
    expect_close(loss, want[0], f"the loss {what}", 1e-4, 1e-4)
    expect_close(gradient, want[1], f"the gradient {what}", 1e-5, 1e-4)


@check("loss", points=2)
def several_temperatures(call, rng):
    """All examples real, temperatures below and above 1."""
    for temperature in (0.5, 1.0, 2.0, 7.0):
        rows, classes = integer(rng, 3, 9), integer(rng, 3, 12)
        real = torch.ones(rows, dtype=torch.bool)
        student, teacher = logits(rng, rows, classes)
        expect_same(call, student, teacher, temperature, real, f"at T = {temperature}")


@check("loss", points=1)
def some_examples_are_padding(call, rng):
    """Padding holds large numbers, then nan."""
    for filling in (1e4, torch.nan):
        rows = integer(rng, 6, 12)
        student, teacher = logits(rng, rows, 7)
        real = some(rng, rows)
        student[~real], teacher[~real] = filling, -filling
        expect_same(call, student, teacher, 3.0, real, f"beside padding of {filling}")


@check("loss", points=1)
def forbidden_classes(call, rng):
    """The teacher forbids some classes."""
    student, teacher = logits(rng, 5, 8)
    teacher[torch.arange(5), torch.randint(8, (5,), generator=rng())] = -torch.inf
    expect_same(call, student, teacher, 2.0, torch.ones(5, dtype=torch.bool), "with forbidden classes")


@check("loss", points=1)
def a_hot_and_a_cold_gradient(call, rng):
    """At T = 300 the gradient is that of squared distances of logits; at T = 0.02 that of first choices."""
    student, teacher = logits(rng, 6, 5)
    real = some(rng, 6)
    _, gradient = loss_and_gradient(call, student, teacher, 300.0, real)
    z, v = (x - x.mean(1, keepdim=True) for x in (student, teacher))
    want = torch.where(real[:, None], (z - v) / 5, 0.0) / real.sum()
    expect_close(gradient, want, "the gradient at T = 300", 3e-3, 2e-2, hint="it tends to (z - v) / V, centred")
    student = student.argsort(1).float()
    teacher = teacher.argsort(1).float()
    _, gradient = loss_and_gradient(call, student, teacher, 0.02, real)
    expect_close(gradient, by_autograd(student, teacher, 0.02, real)[1], "the gradient at T = 0.02", 1e-5, 1e-4)
