"""GPTQ in the order of importance: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor


def rounded(call, weight, hessian, bits, damping):
    """Values and scales, with their shapes and dtypes checked."""
    values, scales = expect_parts(call("gptq", weight, hessian, bits, damping), "gptq", "values", "scales")
    values = expect_tensor(values, "the values", shape=tuple(weight.shape), dtype=torch.int8, dims="N K")
    return values, expect_tensor(scales, "the scales", shape=(len(weight),), dtype="float")


@check("gptq")
def without_correlation_it_is_rounding(call, rng):
    """A diagonal Hessian: every weight takes its nearest grid point."""
    weight = torch.tensor([[3.0, -1.2, 0.4], [0.2, 0.35, -0.6]])
    values, scales = rounded(call, weight, torch.diag(torch.tensor([1.0, 3.0, 2.0])), 3, 0.01)
    expect_close(scales, torch.tensor([1.0, 0.2]), "the scales", hint="the row's largest magnitude over 3 in 3 bits")
    hint = "in the columns' original places" if values.tolist() == [[-1, 0, 3], [2, -3, 1]] else ""
    expect_equal(values.tolist(), [[3, -1, 0], [1, 2, -3]], "the values", hint=hint)


@check("gptq")
def the_second_column_makes_up_for_the_first(call, rng):
    """Two inputs that are nearly the same: 0.4 is rounded to 0, and 1.4 beside it becomes 1.8, so 2."""
    hessian = torch.tensor([[2.0, 1.99], [1.99, 1.995]])
    values, _ = rounded(call, torch.tensor([[0.4, 1.4, 3.0]]), _with_third(hessian), 3, 0.0)
    hints = {
        (1, 1, 3): "order the columns by the Hessian's diagonal, the largest first",
        (0, 1, 3): "the column after it takes - e U_qj",
        (0, 3, 3): "the error is divided by U_qq before it is passed on",
    }
    expect_equal(values.tolist(), [[0, 2, 3]], "the values", hint=hints.get(tuple(values[0].tolist()), ""))


@check("gptq")
def the_largest_input_goes_first(call, rng):
    """The same with the sizes of the first two inputs exchanged: 1.4 is rounded first, and 0.4 becomes 0.8."""
    hessian = torch.tensor([[1.995, 1.99], [1.99, 2.0]])
    values, _ = rounded(call, torch.tensor([[0.4, 1.4, 3.0]]), _with_third(hessian), 3, 0.0)
    hints = {
        (0, 2, 3): "order the columns by the Hessian's diagonal, the largest first",
        (0, 1, 3): "the column after it takes - e U_qj",
        (3, 1, 3): "the error is divided by U_qq before it is passed on",
    }
    expect_equal(values.tolist(), [[1, 1, 3]], "the values", hint=hints.get(tuple(values[0].tolist()), ""))


def _with_third(hessian):
    """The Hessian with an input that goes with no other."""
    return torch.block_diag(hessian, torch.tensor([[1.0]]))
