"""2:4: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor


def compressed(call, weight):
    """Values and codes, with their shapes and dtypes checked."""
    values, codes = expect_parts(call("compress_pairs", weight), "compress_pairs", "values", "codes")
    num_rows, num_columns = weight.shape
    values = expect_tensor(values, "the values", shape=(num_rows, num_columns // 2), dtype="float", dims="N K/2")
    return values, expect_tensor(
        codes, "the codes", shape=(num_rows, num_columns // 4), dtype=torch.uint8, dims="N K/4"
    )


@check("two_of_four")
def two_groups_of_a_row(call, rng):
    """(1, -3, 0, 2) keeps places 1 and 3, (5, 0, 0, -6) places 0 and 3."""
    values, codes = compressed(call, torch.tensor([[1.0, -3.0, 0.0, 2.0, 5.0, 0.0, 0.0, -6.0]]))
    expect_close(values, torch.tensor([[-3.0, 2.0, 5.0, -6.0]]), "the values", hint="from left to right, by magnitude")
    expect_equal(codes.tolist(), [[4, 2]], "the codes", hint="pair (1, 3) has number 4, (0, 3) number 2")


@check("two_of_four")
def equal_magnitudes_keep_the_earlier(call, rng):
    """Four equal ones, and a tie for the second place."""
    values, codes = compressed(call, torch.tensor([[1.0, -1.0, 1.0, 1.0, 2.0, 3.0, -2.0, 0.0]]))
    expect_equal(codes.tolist(), [[0, 0]], "the codes", hint="of equal ones the earlier stays")
    expect_close(values, torch.tensor([[1.0, -1.0, 2.0, 3.0]]), "the values")


@check("two_of_four")
def a_product_of_two_rows(call, rng):
    """Places (0, 1) and (2, 3) of two groups."""
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    codes = torch.tensor([[0, 5], [5, 0]], dtype=torch.uint8)
    x = torch.tensor([1.0, 10.0, 100.0, 1000.0, 2.0, 20.0, 200.0, 2000.0])
    got = expect_tensor(call("sparse_product", values, codes, x), "the product", shape=(2,), dtype="float", dims="N")
    want = torch.tensor([21.0 + 600.0 + 8000.0, 1100.0 + 22.0])
    expect_close(got, want, "the product", hint="group g reads x from column 4g on")
