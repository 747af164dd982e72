"""Sequence-level targets: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_parts, expect_tensor


def made(call, texts, end, keep):
    """Tokens and labels, with their shapes checked to be the same."""
    lists = [list(part) for part in zip(*texts, strict=True)]
    tokens, labels = expect_parts(call("targets", *lists, end, keep), "targets", "tokens", "labels")
    tokens = expect_tensor(tokens, "the tokens", shape=(None, None), dtype=torch.int64)
    return tokens, expect_tensor(labels, "the labels", shape=tuple(tokens.shape), dtype=torch.int64)


def text(prompt, written, score=-1.0):
    return torch.tensor(prompt), torch.tensor(written), torch.full((len(written),), score)


@check("sequences")
def one_text(call, rng):
    """A prompt of two tokens, three that were written, and something behind the end."""
    tokens, labels = made(call, [text([5, 6], [7, 8, 9, 4, 4])], 9, 3)
    hint = "the student reads all but the last token of the text, which ends with the first `end`"
    expect_equal(tokens.tolist(), [[5, 6, 7, 8]], "the tokens", hint=hint)
    expect_equal(
        labels.tolist(), [[-100, 7, 8, 9]], "the labels", hint="each label is the NEXT token, of the text alone"
    )


@check("sequences")
def unfinished_and_double_texts_go(call, rng):
    """The second has no end, the third is the first again, the fourth is short."""
    texts = [text([5], [6, 7, 9]), text([5], [6, 7, 6]), text([5], [6, 7, 9, 8]), text([5], [9])]
    tokens, labels = made(call, texts, 9, 5)
    expect_equal(tokens.tolist(), [[5, 6, 7], [5, 0, 0]], "the tokens", hint="two texts stay, the shorter is padded")
    expect_equal(labels.tolist(), [[6, 7, 9], [9, -100, -100]], "the labels", hint="padding is not asked for")


@check("sequences")
def the_most_probable_stay(call, rng):
    """Means of -1, -0.5 and -0.8; the sum of the long one is the lowest."""
    texts = [text([1], [2, 9], -1.0), text([1], [2, 3, 4, 5, 6, 9], -0.5), text([1], [3, 9], -0.8)]
    tokens, _ = made(call, texts, 9, 2)
    hint = "the mean a token decides, and those that stay keep their order"
    expect_equal(tokens.tolist(), [[1, 2, 3, 4, 5, 6], [1, 3, 0, 0, 0, 0]], "the tokens", hint=hint)
