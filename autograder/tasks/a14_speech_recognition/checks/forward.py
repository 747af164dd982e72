"""The forward pass: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail, integer
from autograder.tasks.a14_speech_recognition.oracles import forward_nodes, log_softmax, loss_by_paths


def some_known(rng, path):
    """Two frames of a path, as they would be written down; one of them twice."""
    frames = torch.randperm(len(path), generator=rng())[:2].tolist()
    return [(frame, path[frame]) for frame in (*frames, frames[0])]


def parts(call, *arguments):
    return expect_parts(call("forward", *arguments), "forward", "alpha", "loss")


@check("forward", points=1)
def losses_are_those_of_every_path(call, rng):
    """Short sounds whose paths can be counted, with frames that are known, any label the blank."""
    for labels, path in (([1, 2], [0, 1, 0, 2, 2]), ([2, 2], [2, 0, 0, 2, 0]), ([1], [1, 1, 1, 0, 0])):
        blank, log_probs = integer(rng, 0, 2), log_softmax(rng, 5, 3)
        renamed = [(label + blank) % 3 for label in labels]
        known = some_known(rng, [(label + blank) % 3 for label in path])
        for given in (known, []):
            _, loss = parts(call, log_probs, renamed, given, blank)
            expect_close(float(loss), loss_by_paths(log_probs, renamed, given, blank), "the loss", 1e-6)


@check("forward", points=1)
def every_node_agrees_with_what_is_known(call, rng):
    """Alphas of all nodes, those out of reach among them."""
    for labels, frames, said in (([1, 2, 1, 1], 11, 1), ([3, 2, 1], 7, 3), ([2, 2, 2], 9, 2)):
        log_probs, frame = log_softmax(rng, frames, 4), integer(rng, 2, 4)
        for known in ([(frame, 0)], [(frame, said)]):
            alpha, _ = parts(call, log_probs, labels, known, 0)
            want, _ = forward_nodes(log_probs, labels, known, 0)
            alpha = expect_tensor(alpha, "alpha", shape=tuple(want.shape), dtype="float", dims="T states")
            expect_close(alpha.exp(), want.exp(), f"exp of alpha, frame {frame} known", 1e-9, 1e-6)
            expect_close(alpha.isfinite().long(), want.isfinite().long(), "which nodes can be reached")


@check("forward", points=1)
def nothing_vanishes_in_a_long_sound(call, rng):
    """Four hundred frames, whose probabilities as plain numbers are 0; two frames are known."""
    labels = [1, 2, *torch.randint(1, 6, (28,), generator=rng()).tolist()]
    log_probs = log_softmax(rng, 400, 6, 3.0)
    known = [(0, 1), (integer(rng, 100, 300), 0)]
    alpha, loss = parts(call, log_probs, labels, known, 0)
    want, wanted_loss = forward_nodes(log_probs, labels, known, 0)
    expect_close(float(loss), wanted_loss, "the loss of 400 frames", 1e-4, 1e-8)
    expect_close(torch.as_tensor(alpha)[-1], want[-1], "the last alphas", 1e-4, 1e-8)


@check("forward", points=1)
def what_cannot_be_has_an_infinite_loss(call, rng):
    """Too few frames, a label that is not in the transcript, two labels in one frame; and no labels at all."""
    log_probs = log_softmax(rng, 4, 4)
    impossible = (
        ([1, 1, 1], []),
        ([1, 2], [(1, 3)]),
        ([1], [(2, 1), (2, 0)]),
        ([], [(0, 2)]),
        ([3], [(0, 3), (2, 3), (1, 0)]),
    )
    for labels, known in impossible:
        _, loss = parts(call, log_probs, labels, known, 0)
        if not isinstance(loss, float) or loss != math.inf:
            fail("no path agrees: the loss is math.inf", got=loss, labels=labels, known=known)
    _, loss = parts(call, log_probs, [], [(1, 0)], 0)
    expect_close(float(loss), -float(log_probs[:, 0].sum()), "the loss of no labels", 1e-6, hint="all blanks")
