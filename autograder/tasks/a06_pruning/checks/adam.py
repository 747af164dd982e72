"""An Adam that keeps masks: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, integer
from autograder.tasks.a06_pruning.visible.adam import step


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def by_hand(weight, grad, m, v, age, mask, rate):
    """A number at a time, in float64."""
    lines = []
    for w, g, a, b, t, open_ in zip(*(x.flatten().tolist() for x in (weight, grad, m, v, age, mask)), strict=True):
        if not open_:
            lines.append((0.0, 0.0, 0.0, 0))
            continue
        a, b, t = 0.9 * a + 0.1 * g, 0.999 * b + 0.001 * g * g, t + 1
        lines.append((w - rate * (a / (1 - 0.9**t)) / ((b / (1 - 0.999**t)) ** 0.5 + 1e-8), a, b, t))
    return [torch.tensor(part).view(weight.shape) for part in zip(*lines, strict=True)]


def expect_same(got, want, what):
    expect_equal(got[3], want[3], f"the ages {what}")
    for part, right, name in zip(got[:3], want[:3], ("the weight", "m", "v"), strict=True):
        expect_close(part, right, f"{name} {what}", 3e-5, 1e-5)
        expect_equal((part == 0) & (right == 0), right == 0, f"zeros of {name} {what}")


@check("adam", points=1)
def open_weights_follow_adam(call, rng):
    """No mask: torch's Adam over six steps."""
    parameter = torch.nn.Parameter(normal(rng, 4, 5))
    optimizer = torch.optim.Adam([parameter], lr=0.03)
    state = [parameter.detach().clone(), torch.zeros(4, 5), torch.zeros(4, 5), torch.zeros(4, 5, dtype=torch.int64)]
    mask = torch.ones(4, 5, dtype=torch.bool)
    for _ in range(6):
        parameter.grad = normal(rng, 4, 5)
        weight, m, v, age = state
        state = step(call, weight, parameter.grad, m, v, age, mask, 0.03)
        optimizer.step()
        expect_close(state[0], parameter.detach(), "the weight", 1e-3, 1e-5)


@check("adam", points=2)
def pruned_weights_stay_zero(call, rng):
    """Weights with momentum, pruned in the middle, with gradients that never stop."""
    state = [normal(rng, 6, 7), normal(rng, 6, 7), normal(rng, 6, 7).square(), torch.full((6, 7), integer(rng, 1, 6))]
    mask = torch.rand(6, 7, generator=rng()) < 0.5
    for number in range(3):
        weight, m, v, age = state
        args = weight, normal(rng, 6, 7), m, v, age, mask, 0.1
        state, want = step(call, *args), by_hand(*args)
        expect_same(state, want, f"after step {number + 1}")


@check("adam", points=1)
def returning_weights_begin_anew(call, rng):
    """Masks that change at every step."""
    shape = (5, 8)
    state = [normal(rng, *shape), torch.zeros(shape), torch.zeros(shape), torch.zeros(shape, dtype=torch.int64)]
    for number in range(6):
        mask = torch.rand(shape, generator=rng()) < 0.6
        weight, m, v, age = state
        args = weight, normal(rng, *shape), m, v, age, mask, 0.05
        state, want = step(call, *args), by_hand(*args)
        expect_same(state, want, f"after step {number + 1}")


@check("adam", points=1)
def gradients_of_pruned_weights_may_be_nan(call, rng):
    """nan and infinities where the mask is False."""
    mask = torch.rand(4, 6, generator=rng()) < 0.5
    mask[0, 0], mask[1, 1] = False, True
    grad = normal(rng, 4, 6).masked_fill(~mask, float("nan"))
    grad[0, 0] = float("inf")
    args = normal(rng, 4, 6), grad, normal(rng, 4, 6), normal(rng, 4, 6).square(), torch.full((4, 6), 5), mask, 0.1
    expect_same(step(call, *args), by_hand(*args), "beside gradients that are nan")
