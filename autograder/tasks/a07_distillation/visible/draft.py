"""A draft distilled for acceptance: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, fail


def table_of(call, tokens, probs):
    """The table, checked to hold distributions."""
    width = probs.shape[-1]
    got = expect_tensor(
        call("draft_table", tokens, probs), "the table", shape=(width, width), dtype="float", dims="V V"
    ).double()
    if not bool((got >= -1e-6).all()):
        fail("a probability is negative or nan", got=got.min())
    expect_close(got.sum(1), torch.ones(width), "the sum of each row", 1e-4, 1e-4)
    return got


def accepted(q, p):
    """The mean acceptance of a row q (V,) under distributions p (n, V)."""
    return torch.minimum(p.double(), q).sum(1).mean()


@check("draft")
def one_distribution_is_copied(call, rng):
    """Each token always comes with the same distribution: the best draft is the target."""
    tokens = torch.tensor([[0, 1, 0, 1]])
    probs = torch.tensor([[[0.9, 0.1], [0.3, 0.7], [0.9, 0.1], [0.3, 0.7]]])
    expect_close(table_of(call, tokens, probs), torch.tensor([[0.9, 0.1], [0.3, 0.7]]), "the table", atol=2e-3)


@check("draft")
def the_majority_decides(call, rng):
    """Two of three distributions are alike: following them accepts more than the mean."""
    tokens = torch.zeros(1, 3, dtype=torch.int64)
    probs = torch.tensor([[[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]])
    got = table_of(call, tokens, probs)
    best = accepted(torch.tensor([0.8, 0.1, 0.1]), probs[0])
    rate = accepted(got[0], probs[0])
    if float(rate) < float(best) - 1e-3:
        fail("another distribution is accepted more often after token 0", yours=rate, best=best)
    expect_close(got[1], probs[0].mean(0), "the row of a token that does not occur", 1e-4, 1e-4)
