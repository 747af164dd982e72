"""A codebook that revives what died: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_parts, fail

BOOK = torch.tensor([[0.0], [8.0], [100.0]])


def step(call, counts, dead_below, x=((0.0,), (2.0,), (9.0,))):
    counts = torch.tensor(counts)
    codes = torch.tensor([0, 0, 1])
    got = call("update", BOOK.clone(), counts, BOOK * counts[:, None], torch.tensor(x), codes, 0.5, dead_below)
    return expect_parts(got, "update", "vectors", "counts", "sums")


@check("codebook")
def vectors_are_running_means(call, rng):
    """Counts 4, 4, 4 and decay 0.5: code 0 gets 0 and 2, code 1 gets 9, code 2 nothing."""
    vectors, counts, sums = step(call, [4.0, 4.0, 4.0], 0.0)
    expect_close(counts, torch.tensor([3.0, 2.5, 2.0]), "the counts", hint="0.5 times 4 plus 0.5 times what came")
    expect_close(sums, torch.tensor([[1.0], [20.5], [200.0]]), "the sums")
    expect_close(vectors, torch.tensor([[1 / 3], [8.2], [100.0]]), "the vectors", 1e-4, hint="sums over counts")


@check("codebook")
def the_dead_code_goes_where_the_error_is_largest(call, rng):
    """Code 2 is dead; of 0, 2 and 9 the 2 lies farthest from its vector."""
    vectors, counts, sums = step(call, [4.0, 4.0, 0.5], 1.0)
    if abs(float(vectors[2, 0]) - 9.0) < 1e-4:
        fail("the error is the distance from the vector of the x's own code, before the step")
    expect_close(vectors[2], torch.tensor([2.0]), "the revived vector", 1e-4)
    if abs(float(counts[2]) - 1.0) > 1e-4:
        fail("a revived code has the count dead_below; with less it is dead again at once", got=counts)
    expect_close(sums[2], torch.tensor([2.0]), "its sum", 1e-4, hint="m = N x, or the next mean pulls it back")
