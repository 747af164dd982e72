"""The best path with times: the checks that a student sees and runs."""

import torch

from autograder.checks import MISSING_RETURN, check, expect_close, expect_equal, fail


def said(*path, size=3, p=0.8):
    """Log-probabilities of one utterance in which the path has probability p in each frame."""
    rest = (1 - p) / (size - 1)
    return torch.tensor([[[p if k == label else rest for k in range(size)] for label in path]]).double().log()


def labels_of(got):
    """The tuples of the only utterance."""
    if not isinstance(got, list) or len(got) != 1 or not isinstance(got[0], list):
        fail(f"one list of tuples for each utterance is wanted{MISSING_RETURN if got is None else ''}", got=got)
    if not all(isinstance(one, tuple) and len(one) == 4 for one in got[0]):
        fail("each label is a tuple (label, first, end, confidence)", got=got)
    return got[0]


@check("transcribe")
def repeats_are_one_label_and_a_blank_parts_two(call, rng):
    """The path 1 1 - 1 2: labels 1, 1 and 2."""
    got = labels_of(call("transcribe", said(1, 1, 0, 1, 2), [5], 0))
    spans = [one[:3] for one in got]
    if len(spans) == 2:
        fail("a blank between two equal labels keeps them apart: merge repeats first, drop blanks second", got=got)
    expect_equal(spans, [(1, 0, 2), (1, 3, 4), (2, 4, 5)], "labels and frames")
    expect_close(float(got[0][3]), 0.8, "the confidence of the first label", 1e-6)


@check("transcribe")
def only_real_frames_are_read(call, rng):
    """Of five frames three are real."""
    got = labels_of(call("transcribe", said(1, 1, 0, 1, 2), [3], 0))
    expect_equal([one[0] for one in got], [1], "the labels of three frames")
