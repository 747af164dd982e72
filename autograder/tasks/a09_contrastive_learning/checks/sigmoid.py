"""SigLIP's loss with several captions: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a09_contrastive_learning.oracles import directions
from autograder.tasks.a09_contrastive_learning.visible.sigmoid import loss_of, softplus


def by_hand(images, texts, log_scale, bias, picture_of):
    """Cell by cell, in float64."""
    total = 0.0
    for i, image in enumerate(images.double()):
        for text, picture in zip(texts.double(), picture_of.tolist(), strict=True):
            logit = math.exp(float(log_scale)) * float(image @ text) + float(bias)
            total += softplus(-logit if picture == i else logit)
    return total / len(images)


def expect_loss(call, rng, pictures, captions, log_scale, bias, picture_of):
    args = directions(rng, pictures, 6), directions(rng, captions, 6), torch.tensor(log_scale), torch.tensor(bias)
    what = f"the loss of {pictures} pictures and {captions} captions"
    expect_close(loss_of(call, *args, picture_of), by_hand(*args, picture_of), what, 1e-3, 1e-4)


@check("sigmoid", points=1)
def a_caption_for_each_picture(call, rng):
    """As many captions as pictures, in order and in another; the paper's scale and bias."""
    count = integer(rng, 4, 9)
    for order in (torch.arange(count), torch.randperm(count, generator=rng())):
        expect_loss(call, rng, count, count, math.log(10.0), -10.0, order)


@check("sigmoid", points=2)
def several_captions_and_none(call, rng):
    """Pictures with many captions, with one, with none; captions of nothing among them."""
    for pictures, captions in ((2, 7), (5, 3), (6, 14)):
        picture_of = torch.randint(-1, pictures, (captions,), generator=rng())
        picture_of[0] = -1
        expect_loss(call, rng, pictures, captions, 1.5, -2.0, picture_of)


@check("sigmoid", points=1)
def one_picture_and_captions_of_nothing(call, rng):
    """A single picture; a batch in which no caption describes anything."""
    expect_loss(call, rng, 1, 5, 1.0, 0.5, torch.tensor([0, -1, 0, -1, -1]))
    expect_loss(call, rng, 4, 4, 1.0, -1.0, torch.full((4,), -1))


@check("sigmoid", points=1)
def large_logits(call, rng):
    """Scales of 3,000 and 10,000."""
    for scale in (3_000.0, 10_000.0):
        images, texts = directions(rng, 4, 3), directions(rng, 6, 3)
        args = images, texts, torch.tensor(scale).log(), torch.tensor(-10.0)
        picture_of = torch.tensor([0, 3, 3, -1, 1, 2])
        want = by_hand(*args, picture_of)
        expect_close(loss_of(call, *args, picture_of), want, f"the loss at a scale of {scale:g}", 1.0, 1e-3)
