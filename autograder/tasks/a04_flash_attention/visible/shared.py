"""What the visible checks of several exercises share."""

import torch

from autograder.checks import expect_parts, expect_tensor

NEVER = float("-inf")


def scores_of(q, k, causal=False):
    """Scaled scores in float64, (..., Sq, Sk); -inf where a query may not see a key."""
    scores = q.double() @ k.double().mT / q.shape[-1] ** 0.5
    if causal:
        rows, columns = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(rows, columns, dtype=torch.bool).triu(columns - rows + 1), NEVER)
    return scores


def attend(scores, v):
    """(out, lse) in float64 of scores with every number in memory; 0 and -inf for a row that sees no key."""
    lse = scores.logsumexp(-1)
    weights = (scores - lse.masked_fill(lse == NEVER, 0.0)[..., None]).exp()
    return weights @ v.double(), lse


def attention(q, k, v, causal=False):
    return attend(scores_of(q, k, causal), v)


def random(rng, *shape):
    return torch.randn(*shape, generator=rng())


def tensors(got, function, *parts):
    """The tensors that a function returns together, with their kinds checked."""
    got = expect_parts(got, function, *parts)
    return [expect_tensor(x, f"{part} of `{function}`", dtype="float") for x, part in zip(got, parts, strict=True)]
