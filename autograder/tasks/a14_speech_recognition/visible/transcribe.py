"""The best path with times: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, fail


def said(*path, size=3, p=0.8):
    """Log-probabilities of one utterance in which the path has probability p in each frame."""
    rest = (1 - p) / (size - 1)
    return torch.tensor([[[p if k == label else rest for k in range(size)] for label in path]]).double().log()


@check("transcribe")
def repeats_are_one_label_and_a_blank_parts_two(call, rng):
    """The path 1 1 - 1 2: labels 1, 1 and 2."""
    got = call("transcribe", said(1, 1, 0, 1, 2), [5], 0)
    spans = [tuple(one[:3]) for one in got[0]] if isinstance(got, list) and got and isinstance(got[0], list) else got
    if isinstance(spans, list) and len(spans) == 2:
        fail("a blank between two equal labels keeps them apart: merge repeats first, drop blanks second", got=got)
    expect_equal(spans, [(1, 0, 2), (1, 3, 4), (2, 4, 5)], "labels and frames")
    expect_close(float(got[0][0][3]), 0.8, "the confidence of the first label", 1e-6)


@check("transcribe")
def only_real_frames_are_read(call, rng):
    """Of five frames three are real."""
    got = call("transcribe", said(1, 1, 0, 1, 2), [3], 0)
    expect_equal([one[0] for one in got[0]], [1], "the labels of three frames")
