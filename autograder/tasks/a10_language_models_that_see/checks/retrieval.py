"""The loss of [RET]: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a10_language_models_that_see.oracles import integers, normal
from autograder.tasks.a10_language_models_that_see.visible.retrieval import loss_of


def by_hand(states, places, images, w_text, w_image, log_scale):
    """Sums over pictures and over captions with [RET], in float64."""
    scale = min(math.exp(log_scale), 100.0)
    seen = images.double() @ w_image.double()
    seen = seen / seen.norm(dim=1, keepdim=True)
    rows = [i for i, place in enumerate(places.tolist()) if place >= 0]
    said = torch.stack([states[i, places[i]].double() @ w_text.double() for i in rows])
    said = said / said.norm(dim=1, keepdim=True)
    logits = (scale * said @ seen.T).tolist()

    def surprise(values, right):
        most = max(values)
        return most + math.log(sum(math.exp(value - most) for value in values)) - values[right]

    to_images = sum(surprise(logits[k], i) for k, i in enumerate(rows))
    to_texts = sum(surprise([line[i] for line in logits], k) for k, i in enumerate(rows))
    return (to_images + to_texts) / (2 * len(rows))


def expect_loss(call, rng, batch, without, log_scale, length=5, d=4, v=3, e=3):
    states, images = normal(rng, batch, length, d), 3 * normal(rng, batch, v)
    w_text, w_image = normal(rng, d, e), normal(rng, v, e)
    places = integers(rng, length, batch)
    places[torch.randperm(batch, generator=rng())[:without]] = -1
    got = loss_of(call, states, places, images, w_text, w_image, log_scale)
    want = by_hand(states, places, images, w_text, w_image, log_scale)
    expect_close(got, want, f"the loss of {batch} pairs, {without} without [RET]", 1e-3, 1e-3)


@check("retrieval", points=2)
def every_caption_has_one(call, rng):
    """At different places; one pair costs nothing."""
    for batch in (1, 4, integer(rng, 6, 10)):
        expect_loss(call, rng, batch, 0, 1.5)


@check("retrieval", points=2)
def some_captions_have_none(call, rng):
    """Their pictures are wrong answers; they are no captions."""
    for batch, without in ((5, 1), (8, 5), (integer(rng, 6, 9), 2)):
        expect_loss(call, rng, batch, without, 1.0)


@check("retrieval", points=1)
def the_scale_is_capped(call, rng):
    """At 100, and small scales stay as they are."""
    for log_scale in (6.0, -1.0):
        expect_loss(call, rng, 5, 1, log_scale)
