"""GPTQ against optimal brain quantization by brute force: the inverse Hessian recomputed after every column."""

import pytest
import torch

from nimblelm.compression.quantization.absmax import quantize_zero_point, zero_point_grid
from nimblelm.compression.quantization.gptq import InputMoments, gptq, inverse_factor


def problem(num_rows: int = 5, num_columns: int = 12, seed: int = 0, count: int = 200):
    """A weight and inputs whose features are correlated."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(num_columns, num_columns, generator=generator)
    x = torch.randn(count, num_columns, generator=generator) @ mixing
    moments = InputMoments(num_columns)
    moments.add(x[: count // 2])
    moments.add(x[count // 2 :])
    return torch.randn(num_rows, num_columns, generator=generator), x, moments.hessian


def brute_force(weight, hessian, bits, group_size, damping):
    """Column by column: round it, then move the columns that are left to where |W x - W' x| is least."""
    H = hessian.double() + damping * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=torch.float64)
    W, out = weight.double().clone(), torch.zeros_like(weight, dtype=torch.float64)
    for q in range(W.shape[1]):
        if q % group_size == 0:
            scale, zero = zero_point_grid(W[:, q : q + group_size], bits)
        code = ((W[:, q] / scale).round() + zero).clamp(0, 2**bits - 1)
        out[:, q] = (code - zero) * scale
        rest = slice(q + 1, None)
        # least squares: min_d (d, e) H (d, e)^T with e = out - W in column q and d free in the columns after it
        move = torch.linalg.solve(H[rest, rest], H[rest, q : q + 1]) if q + 1 < W.shape[1] else None
        if move is not None:
            W[:, rest] -= (out[:, q : q + 1] - W[:, q : q + 1]) @ move.T
    return out


@pytest.mark.parametrize("lazy_block", [1, 5, 128])
@pytest.mark.parametrize(("bits", "group_size"), [(3, 12), (4, 4), (2, 6)])
def test_gptq_is_optimal_brain_quantization_in_order(bits, group_size, lazy_block):
    weight, _, hessian = problem()
    got = gptq(weight, hessian, bits, group_size, 0.01, lazy_block).dequantize(torch.float64)
    torch.testing.assert_close(got, brute_force(weight, hessian, bits, group_size, 0.01), rtol=1e-5, atol=1e-5)


def test_the_hessian_is_that_of_the_mean_square_error():
    weight, x, hessian = problem()
    row = weight[0].double().requires_grad_()
    loss = lambda w: (x.double() @ (w - weight[0].double())).square().mean()  # noqa: E731
    torch.testing.assert_close(torch.autograd.functional.hessian(loss, row), hessian, rtol=1e-4, atol=1e-3)


def test_the_factor_is_of_the_inverse():
    _, _, hessian = problem()
    U = inverse_factor(hessian, 0.0)
    torch.testing.assert_close(U.T @ U @ hessian, torch.eye(12, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    assert torch.equal(U, U.triu())


def test_uncorrelated_inputs_leave_nothing_to_make_up_for():
    weight, _, _ = problem()
    hessian = torch.diag(torch.linspace(0.5, 3, 12))
    got, want = gptq(weight, hessian, 3, 4), quantize_zero_point(weight, 3, 4)
    assert torch.equal(got.values, want.values)
    torch.testing.assert_close(got.dequantize(), want.dequantize())  # our grid is fitted in float64


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_outputs_err_less_than_by_rounding(bits):
    weight, x, hessian = problem(24, 64, count=400)
    error = [
        (x @ (weight - quantized.dequantize()).T).norm().item()
        for quantized in (gptq(weight, hessian, bits, 32), quantize_zero_point(weight, bits, 32))
    ]
    assert error[0] < 0.85 * error[1]


def test_a_dead_input_is_no_obstacle():
    weight, _, hessian = problem()
    hessian[3], hessian[:, 3] = 0, 0
    assert not gptq(weight, hessian, 4).dequantize()[:, 3].any()


def test_what_cannot_be_is_refused():
    weight, x, hessian = problem()
    with pytest.raises(ValueError, match="must be finite"):
        gptq(weight, hessian * float("nan"))
    with pytest.raises(ValueError, match="groups of 5"):
        gptq(weight, hessian, 4, 5)
    with pytest.raises(ValueError, match="damping"):
        gptq(weight, hessian, damping=float("nan"))
    with pytest.raises(ValueError, match="positive definite"):
        inverse_factor(torch.ones(3, 3), 0.0)
    with pytest.raises(ValueError, match="no inputs"):
        _ = InputMoments(3).hessian
    with pytest.raises(ValueError, match="12 wide"):
        InputMoments(12).add(x[:, 1:])


@pytest.mark.parametrize("group_size", [0, -4, 5])
def test_groups_that_are_none_are_refused(group_size):
    weight, _, hessian = problem()
    with pytest.raises(ValueError, match=f"groups of {group_size}"):
        gptq(weight, hessian, 4, group_size)
