"""A beam search under a grammar: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import MISSING_RETURN, Callback, check, expect_close, expect_equal, fail

TWO = torch.tensor([[0.6, 0.4], [0.6, 0.4]], dtype=torch.float64).log()


def everything(prefix):
    return [0, 1]


def even(prefix):
    return [math.log(0.5)] * 2


def pairs(got, what):
    """A list of tuples, each of two."""
    if not isinstance(got, list) or not all(isinstance(one, tuple) and len(one) == 2 for one in got):
        fail(f"{what} should be a list of tuples (labels, score){MISSING_RETURN if got is None else ''}", got=got)
    return got


@check("beam")
def paths_add_up(call, rng):
    """The likeliest path is two blanks, 0.36; three paths say the label, 0.64."""
    got = call("beam", TWO, 10, Callback(everything), Callback(even), 0.0, 0.0, 0)
    if not pairs(got, "the transcripts"):
        fail("no transcript came", got=got)
    if list(got[0][0]) == []:
        fail("that is the best path; the three paths that collapse to [1] add up to more", got=got)
    expect_equal(list(got[0][0]), [1], "the best transcript")
    expect_close(float(got[0][1]), math.log(0.64), "its score", 1e-6, hint="1-, -1 and 11")


@check("beam")
def the_grammar_decides_what_may_end(call, rng):
    """Nothing may end before its first label, and nothing follows it."""
    rules = Callback(lambda prefix: [0] if prefix else [1])
    got = call("beam", TWO, 10, rules, Callback(even), 0.0, 0.0, 0)
    expect_equal(
        [list(labels) for labels, _ in pairs(got, "the transcripts")],
        [[1]],
        "the transcripts",
        hint="the empty one may not end",
    )


@check("beam")
def the_model_and_the_bonus_count(call, rng):
    """log 0.64 for the label, the model's half for it and half for the end, the bonus once."""
    got = call("beam", TWO, 10, Callback(everything), Callback(even), 2.0, 0.25, 0)
    score = {tuple(labels): value for labels, value in pairs(got, "the transcripts")}
    if (1,) not in score:
        fail("the transcript [1] is missing", got=got)
    want = math.log(0.64) + 2 * 2 * math.log(0.5) + 0.25
    expect_close(float(score[1,]), want, "the score of [1]", 1e-6, hint="the end has a probability, too")
