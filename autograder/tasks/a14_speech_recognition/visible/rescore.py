"""Rescoring: the checks that a student sees and runs."""

import math

from autograder.checks import MISSING_RETURN, Callback, check, expect_close, expect_equal, fail


def pairs(got, what):
    """A list of tuples, each of two."""
    if not isinstance(got, list) or not all(isinstance(one, tuple) and len(one) == 2 for one in got):
        fail(f"{what} should be a list of tuples (labels, score){MISSING_RETURN if got is None else ''}", got=got)
    return got


def ranked(call, found, *arguments):
    """What comes back, as many as went in."""
    got = pairs(call("rescore", found, *arguments), "the transcripts")
    if len(got) != len(found):
        fail(f"{len(found)} transcripts went in, {len(got)} came back")
    return got


@check("rescore")
def the_model_changes_the_order(call, rng):
    """Sound prefers [1], the model [2]."""
    model = Callback(lambda labels: -1.0 if list(labels) == [2] else -5.0)
    got = ranked(call, [([1], -2.0), ([2], -3.0)], model, 1.0, 0.0)
    expect_equal([list(labels) for labels, _ in got], [[2], [1]], "the order", hint="-3 - 1 against -2 - 5")
    expect_close(float(got[0][1]), -4.0, "the score of [2]", 1e-6)


@check("rescore")
def length_divides(call, rng):
    """Seven labels at power 1: the sum is divided by 12 / 6."""
    got = ranked(call, [([1] * 7, -6.0)], Callback(lambda labels: -2.0), 1.0, 1.0)
    if abs(float(got[0][1]) + 16.0) < 1e-6:
        fail("both scores are negative: a larger divisor makes the score better, not worse", got=got)
    expect_close(float(got[0][1]), -4.0, "the score", 1e-6, hint="(-6 - 2) / ((5 + 7) / 6)")


@check("rescore")
def a_weight_of_zero_asks_nobody(call, rng):
    """The model would say minus infinity."""
    model = Callback(lambda labels: -math.inf)
    got = ranked(call, [([1], -2.0)], model, 0.0, 0.0)
    expect_close(float(got[0][1]), -2.0, "the score", 1e-6, hint="0 times minus infinity is nan")
    got = call("tune", [[([1], -2.0), ([2], -3.0)]], [[1]], model, [0.0, 0.0], 0.0)
    expect_close(got, 0.0, "the weight")
