"""A decoder that streams: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_parts, fail


def sure(*path, size=3, p=0.98):
    rest = (1 - p) / (size - 1)
    return torch.tensor([[p if k == label else rest for k in range(size)] for label in path]).double().log()


@check("stream")
def captions_and_the_rest_are_the_whole(call, rng):
    """1 1 - 1 2 in two chunks, with a beam of one: 1, 1, 2."""
    first, state = expect_parts(call("feed", None, sure(1, 1), 1, 0), "feed", "labels", "state")
    expect_equal(list(first), [1], "the first labels", hint="a beam of one prefix has it in common with itself")
    second, state = expect_parts(call("feed", state, sure(1, 0, 1, 2), 1, 0), "feed", "labels", "state")
    if list(second) == [1, 1, 2]:
        fail("the 1 goes on: the same label in the next chunk is no new one unless a blank was between", got=second)
    if list(second)[:2] == [1, 1] and len(second) > 2:
        fail("a label that was returned is not returned again", got=second)
    expect_equal(list(second), [1, 2], "the labels of the second chunk")
    expect_equal(list(call("finish", state)), [], "what is left")


@check("stream")
def what_is_not_settled_waits(call, rng):
    """Two labels that are nearly as likely: nothing is shown until the end."""
    either = torch.tensor([[0.1, 0.5, 0.4]]).double().log()
    labels, state = expect_parts(call("feed", None, either, 2, 0), "feed", "labels", "state")
    expect_equal(list(labels), [], "the labels", hint="[1] and [2] are both in the beam, and share nothing")
    expect_equal(list(call("finish", state)), [1], "what is left", hint="the better of both")
