"""GPTQ in the order of importance: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal
from autograder.tasks.a05_quantization_and_lora.visible.gptq import rounded

ROWS = 200  # so many that a wrong answer is wrong in one of them, whatever the key


def problem(rng, num_rows, num_columns, sizes=1.0):
    """A weight, and the Hessian of correlated inputs of different sizes."""
    mixing = torch.randn(num_columns, num_columns, generator=rng())
    x = torch.randn(4 * num_columns, num_columns, generator=rng()) @ mixing
    x = x * torch.rand(num_columns, generator=rng()).add(0.2).pow(sizes)
    return torch.randn(num_rows, num_columns, generator=rng()), x.T @ x * (2 / len(x))


def by_hand(weight, hessian, bits, damping):
    """Every column's own solution of the least squares that are left, no factorisation."""
    steps = 2 ** (bits - 1) - 1
    scales = weight.abs().amax(1) / steps
    H = hessian.double() + damping * hessian.double().diagonal().mean() * torch.eye(len(hessian), dtype=torch.float64)
    diagonal = hessian.diagonal().tolist()
    order = sorted(range(len(hessian)), key=lambda j: (-diagonal[j], j))
    W, values = weight.double().clone(), torch.zeros(weight.shape, dtype=torch.int64)
    for number, q in enumerate(order):
        code = (W[:, q] / scales).round().clamp(-steps, steps)
        values[:, q] = code.to(torch.int64)
        rest = order[number + 1 :]
        if rest:
            move = torch.linalg.solve(H[rest][:, rest], H[rest][:, [q]])[:, 0]
            W[:, rest] += (W[:, q] - scales * code)[:, None] * move
    return values, scales


def expect_same(call, weight, hessian, bits, damping, what):
    values, scales = rounded(call, weight, hessian, bits, damping)
    want = by_hand(weight, hessian, bits, damping)
    expect_close(scales, want[1], f"the scales {what}", rtol=1e-5)
    expect_equal(values.to(torch.int64), want[0], f"the values {what}")


@check("gptq", points=3)
def errors_are_made_up_for_in_order(call, rng):
    """Random problems in 2 to 4 bits, against least squares column by column."""
    for bits, num_columns in ((3, 6), (4, 9), (2, 5)):
        weight, hessian = problem(rng, ROWS, num_columns)
        expect_same(call, weight, hessian, bits, 0.01, f"of {num_columns} columns in {bits} bits")


@check("gptq", points=1)
def equal_inputs_keep_their_order(call, rng):
    """A Hessian with a diagonal of ones: the columns go from the first to the last."""
    weight, hessian = problem(rng, ROWS, 7)
    root = hessian.diagonal().sqrt()
    hessian = hessian / root / root[:, None]
    hessian.fill_diagonal_(1.0)
    expect_same(call, weight, hessian, 3, 0.02, "with equal inputs")


@check("gptq", points=1)
def damping_is_a_share_of_the_mean(call, rng):
    """Inputs a hundred times as large, and much damping."""
    weight, hessian = problem(rng, ROWS, 6)
    expect_same(call, weight, 1e4 * hessian, 3, 0.5, "of large inputs with damping 0.5")


@check("gptq", points=1)
def values_stay_on_the_grid(call, rng):
    """Strong correlations push weights beyond the ends of their grid."""
    for _ in range(3):
        weight, hessian = problem(rng, ROWS, 8, sizes=3.0)
        weight = weight.sign() * (1 + 0.1 * weight.abs())
        expect_same(call, weight, hessian, 2, 0.001, "that are pushed beyond the grid")
