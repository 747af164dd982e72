"""2:4: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor, integer
from autograder.tasks.a06_pruning.visible.two_of_four import compressed

PAIRS = [(i, j) for i in range(4) for j in range(i + 1, 4)]


def by_hand(weight):
    """Values and codes, a group at a time."""
    values, codes = [], []
    for row in weight.tolist():
        kept, numbers = [], []
        for start in range(0, len(row), 4):
            group = row[start : start + 4]
            first, second = sorted(sorted(range(4), key=lambda j: (-abs(group[j]), j))[:2])
            kept += [group[j] for j in (first, second)]
            numbers.append(PAIRS.index((first, second)))
        values.append(kept)
        codes.append(numbers)
    return torch.tensor(values), torch.tensor(codes)


def expect_same(call, weight, what):
    values, codes = compressed(call, weight)
    want = by_hand(weight)
    expect_equal(codes.to(torch.int64), want[1], f"the codes {what}")
    expect_close(values, want[0], f"the values {what}")


@check("two_of_four", points=2)
def every_pair_occurs(call, rng):
    """Random weights of several widths."""
    for num_columns in (4, 40, 4 * integer(rng, 2, 9)):
        expect_same(call, torch.randn(30, num_columns, generator=rng()), f"of {num_columns} columns")


@check("two_of_four", points=1)
def ties_and_zeros(call, rng):
    """Weights of few values."""
    expect_same(call, torch.randint(-2, 3, (60, 20), generator=rng()).float(), "of weights with few values")
    expect_same(call, torch.zeros(2, 8), "of zeros")


@check("two_of_four", points=2)
def the_product_is_that_of_the_pruned_matrix(call, rng):
    """Random values and codes, against the dense matrix in float64."""
    for num_groups in (1, 5, integer(rng, 6, 12)):
        values = torch.randn(7, 2 * num_groups, generator=rng())
        codes = torch.randint(0, 6, (7, num_groups), generator=rng()).to(torch.uint8)
        x = torch.randn(4 * num_groups, generator=rng())
        dense = torch.zeros(7, 4 * num_groups, dtype=torch.float64)
        for i in range(7):
            for g in range(num_groups):
                for side, place in enumerate(PAIRS[codes[i, g]]):
                    dense[i, 4 * g + place] = values[i, 2 * g + side].double()
        got = expect_tensor(call("sparse_product", values, codes, x), "the product", shape=(7,), dtype="float")
        expect_close(got, dense @ x.double(), f"the product of {num_groups} groups", 1e-4, 1e-4)
