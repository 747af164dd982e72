"""The symmetric loss with duplicates: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor

SCALE = torch.tensor(2.0).log()


def loss_of(call, images, texts, log_scale, group):
    got = call("symmetric_loss", images, texts, log_scale, group)
    return expect_tensor(got, "the loss", shape=(), dtype="float")


@check("symmetric")
def two_pairs_by_hand(call, rng):
    """Pictures (3, 0) and (0, 1), captions (2, 0) and (1, 1), scale 2: rows (2, 1.41) and (0, 1.41)."""
    images = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    texts = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    got = loss_of(call, images, texts, SCALE, torch.tensor([4, 7]))
    a = math.sqrt(2)
    rows = (math.log(1 + math.exp(a - 2)) + math.log(1 + math.exp(-a))) / 2
    columns = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    guesses = {
        "bring each row of both to length 1": _plain(2 * images @ texts.T),
        "the scale is e to the power of log_scale": _plain(SCALE * torch.tensor([[1.0, a / 2], [0.0, a / 2]])),
        "this is the rows alone: the mean of rows and columns is asked for": rows,
        "this is the columns alone: the mean of rows and columns is asked for": columns,
        "the mean of both cross-entropies, not their sum": rows + columns,
        "multiply by the scale, do not divide by it": _plain(torch.tensor([[1.0, a / 2], [0.0, a / 2]]) / 2),
    }
    hint = next((text for text, value in guesses.items() if abs(float(got) - value) < 1e-4), "")
    expect_close(got, (rows + columns) / 2, "the loss", 1e-4, 1e-4, hint)


@check("symmetric")
def two_pictures_of_one_thing(call, rng):
    """The first two pairs are of one group: each of their pictures has two right captions, and the other way round."""
    images = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.6, 0.8]])
    texts = torch.tensor([[0.8, 0.6], [0.0, 1.0], [3.0, 0.0]])
    same = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    got = loss_of(call, images, texts, SCALE, torch.tensor([1, 1, 5]))
    logits = 2 * torch.nn.functional.normalize(images) @ torch.nn.functional.normalize(texts).T
    want = _shared(logits, same / same.sum(1, keepdim=True))
    guesses = {
        "every caption of a picture's group is right, not its own alone": _plain(logits),
        "the shares of a row of targets add up to 1: divide by how many are right": _shared(logits, same),
        "every picture of a group has its own term in the mean": want * 3 / 2,
        "the mean of the right captions' logarithms, not the logarithm of their sum": _of_sums(logits, same),
    }
    hint = next((text for text, value in guesses.items() if abs(float(got) - value) < 1e-4), "")
    expect_close(got, want, "the loss", 1e-4, 1e-4, hint)


@check("symmetric")
def the_scale_has_a_cap(call, rng):
    """log_scale 20: the multiplier is 100, not e to the 20."""
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    got = loss_of(call, images, images.flip(0), torch.tensor(20.0), torch.tensor([0, 1]))
    hint = (
        "the cap of 100 is of the multiplier, after the exponential" if float(got) < 100 else "the multiplier has a cap"
    )
    expect_close(got, 100.0, "the loss of two pairs that are the wrong way round", 1e-3, 1e-4, hint)


def _plain(logits):
    """CLIP's loss of a square of logits, whose pairs are on the diagonal."""
    own = torch.arange(len(logits))
    loss = torch.nn.functional.cross_entropy
    return float(loss(logits, own) + loss(logits.T, own)) / 2


def _shared(logits, target):
    """The mean of both cross-entropies with a symmetric table of targets."""
    return -float((target * (logits.log_softmax(1) + logits.log_softmax(0))).sum()) / (2 * len(logits))


def _of_sums(logits, same):
    chances = ((same * logits.softmax(1)).sum(1), (same * logits.softmax(0)).sum(0))
    return -float(sum(one.log().mean() for one in chances)) / 2
