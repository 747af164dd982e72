"""SigLIP's loss with several captions: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor


def loss_of(call, images, texts, log_scale, bias, picture_of):
    got = call("sigmoid_loss", images, texts, log_scale, bias, picture_of)
    return expect_tensor(got, "the loss", shape=(), dtype="float")


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@check("sigmoid")
def two_pictures_and_three_captions(call, rng):
    """Captions 0 and 1 describe picture 1, caption 2 nothing; scale 2, bias -1."""
    images, texts = torch.eye(2), torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    got = loss_of(call, images, texts, torch.tensor(2.0).log(), torch.tensor(-1.0), torch.tensor([1, 1, -1]))
    cells = [softplus(-1), softplus(1), softplus(-1), softplus(-1), softplus(1), softplus(1)]  # row by row
    total = sum(cells)
    last = softplus(-1) + softplus(-1)  # the caption of nothing, taken for one of the last picture
    guesses = {
        "divide by the number of pictures": total,
        "divide by the number of pictures, not by that of captions": total / 3,
        "divide by the number of pictures, not by that of cells": total / 6,
        "a caption of -1 describes no picture, also not the last": (total - softplus(-1) - softplus(1) + last) / 2,
        "a caption that describes nothing is a wrong answer for every picture": (total - softplus(-1) - softplus(1))
        / 2,
        "the cells that do not fit count too": (softplus(-1) + softplus(1)) / 2,
        "the scale is e to the power of log_scale": _of(math.log(2), -1),
        "the bias is added to every logit": _of(2, 0),
        "the bias is not scaled: only the cosine is": _of(2, -2),
    }
    hint = next((text for text, value in guesses.items() if abs(float(got) - value) < 1e-4), "")
    expect_close(got, total / 2, "the loss", 1e-4, 1e-4, hint)


@check("sigmoid")
def logits_of_ten_thousand(call, rng):
    """One picture and a caption that does not describe it, logit 10,000: the loss is 10,000."""
    one = torch.ones(1, 1)
    got = loss_of(call, one, one, torch.tensor(10_000.0).log(), torch.tensor(0.0), torch.tensor([-1]))
    wide = "log(sigmoid(x)) is minus infinity for large negative x; there is a function for both in one"
    hint = "" if got.isfinite() else wide
    expect_close(got, 10_000.0, "the loss", 1.0, 1e-4, hint)


def _of(scale, bias):
    """The loss of the first check at another scale and bias."""
    table = [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    signs = [[-1, -1, -1], [1, 1, -1]]
    cells = [(x, z) for row, sign in zip(table, signs, strict=True) for x, z in zip(row, sign, strict=True)]
    return sum(softplus(-z * (scale * x + bias)) for x, z in cells) / 2
