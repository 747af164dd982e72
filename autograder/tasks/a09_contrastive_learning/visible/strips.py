"""The loss from strips: the checks that a student sees and runs, and the driver that hands out strips and counts."""

import math

import torch

from autograder.checks import MISSING_RETURN, check, expect_close, expect_tensor, fail


def counted(state, count, after):
    """A state, as the judge takes it: float32 tensors whose bytes it counts."""
    if state is None:
        fail(f"the state after {after} is None{MISSING_RETURN}")
    if not isinstance(state, list | tuple) or not all(isinstance(part, torch.Tensor) for part in state):
        fail(f"the state after {after} should be a tuple of tensors", got=state)
    num_bytes, limit = sum(max(part.numel(), 1) * part.element_size() for part in state), 4 * (3 * count + 8)
    if num_bytes > limit:
        kept = "are strips kept in it?" if num_bytes >= 4 * count * count else "what does a row still need?"
        fail(f"the state after {after} holds {num_bytes} bytes, at most {limit} are allowed; {kept}")
    return tuple(state)


def absorbed(call, logits, sizes):
    """The state after the strips of a square, of the given numbers of rows."""
    count, first = len(logits), 0
    state = counted(call("begin", count), count, "begin")
    for size in sizes:
        strip = logits[first : first + size].clone()
        state = counted(call("absorb", state, strip, first), count, f"rows {first} to {first + size - 1}")
        first += size
    assert first == count
    return state


def loss_from(call, state):
    return expect_tensor(call("loss_of", state), "the loss", shape=(), dtype="float")


def gradient_from(call, state, logits, sizes):
    """The gradients of all strips, one below the other."""
    first, parts = 0, []
    for size in sizes:
        strip = logits[first : first + size].clone()
        got = call("gradient", state, strip, first)
        parts.append(expect_tensor(got, f"the gradient of {size} rows", tuple(strip.shape), "float", dims="C B"))
        first += size
    return torch.cat(parts)


@check("strips")
def four_pairs_in_two_strips(call, rng):
    """Logits 0 everywhere: every softmax is 1/4, and the loss ln 4."""
    logits, sizes = torch.zeros(4, 4), (3, 1)
    state = absorbed(call, logits, sizes)
    got, four = loss_from(call, state), math.log(4)
    guesses = {
        "a column goes through all strips: put the log-sum-exps of its parts together": four / 2,
        "two log-sum-exps are put together by logaddexp, not by the larger one": (four + math.log(3)) / 2,
        "before any strip a column's sum is 0, and its logarithm minus infinity": (four + math.log(5)) / 2,
        "the mean of both cross-entropies, not their sum": 2 * four,
    }
    hint = next((text for text, value in guesses.items() if abs(float(got) - value) < 1e-4), "")
    expect_close(got, four, "the loss", 1e-5, 1e-5, hint)
    eye, half = torch.eye(4), torch.full((4, 4), 1 / 2)
    rows = torch.tensor([3.0, 3.0, 3.0, 1.0])[:, None]  # of each row's strip
    guesses = {
        "the mean is over B pairs, not over the rows of a strip": (half - 2 * eye) / (2 * rows),
        "the row's softmax and the column's both count": (half / 2 - eye) / 8,
        "each pair's own logit is taken away in both cross-entropies": (half - eye) / 8,
        "a column's softmax is over all B rows: the state knows its log-sum-exp": (1 / 4 + 1 / rows - 2 * eye) / 8,
        "pair i stands in column i of the whole matrix: add `first`": _misplaced(sizes),
    }
    slope = gradient_from(call, state, logits, sizes)
    hint = next((text for text, value in guesses.items() if torch.allclose(slope, value, atol=1e-5)), "")
    expect_close(slope, (half - 2 * eye) / 8, "the gradient", 1e-6, 1e-5, hint)


@check("strips")
def the_state_of_twelve_pairs(call, rng):
    """A matrix whose first column is 2 and the rest 0, in strips of five rows: rows and columns differ."""
    logits = torch.zeros(12, 12)
    logits[:, 0] = 2.0
    got = loss_from(call, absorbed(call, logits, (5, 5, 2)))
    rows, columns = math.log(11 + math.exp(2)) - 2 / 12, math.log(12)
    guesses = {
        "this is the rows alone: the mean of rows and columns is asked for": rows,
        "this is the columns alone: the mean of rows and columns is asked for": columns,
        "pair i's own logit stands in column i of the whole matrix: add `first`": (rows + columns) / 2 - 4 / 12,
    }
    hint = next((text for text, value in guesses.items() if abs(float(got) - value) < 1e-4), "")
    expect_close(got, (rows + columns) / 2, "the loss", 1e-4, 1e-5, hint)


@check("strips")
def large_logits_are_finite(call, rng):
    """Two pairs, logits of 300 and -300: the pairs are right, so the loss is 0, and 600 when they are the wrong way."""
    logits = torch.tensor([[300.0, -300.0], [-300.0, 300.0]])
    for sign, want in ((1, 0.0), (-1, 600.0)):
        got = loss_from(call, absorbed(call, sign * logits, (1, 1)))
        wide = "sum exponentials only after the largest was taken away: logsumexp and logaddexp do that"
        expect_close(got, want, f"the loss of pairs of {sign * 300}", 1e-3, 1e-5, "" if got.isfinite() else wide)


def _misplaced(sizes):
    """The gradient of zeros where the own logits are sought in the strip's first columns."""
    slope, first = torch.full((4, 4), 1 / 2), 0
    for size in sizes:
        slope[first + torch.arange(size), torch.arange(size)] -= 2
        first += size
    return slope / 8
