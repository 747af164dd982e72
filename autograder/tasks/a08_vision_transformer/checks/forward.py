"""A batched forward pass: the hidden checks."""

import torch

from autograder.checks import Trial, check, expect_close, expect_tensor, integer, speed_check
from autograder.tasks.a08_vision_transformer.oracles import logits, model_weights, normal, small


def expect_logits(call, rng, batch, channels, grid, patch, layers):
    heads, width, hidden = small(rng)
    classes = integer(rng, 2, 4)
    images = normal(rng, batch, channels, grid[0] * patch, grid[1] * patch)
    weights = model_weights(rng, patch * patch * channels, 1 + grid[0] * grid[1], width, hidden, heads, layers, classes)
    got = call("classify", images, weights, patch, heads)
    got = expect_tensor(got, "the logits", (batch, classes), "float", dims="B classes")
    what = f"logits of {batch} images of {grid[0]} x {grid[1]} patches after {layers} blocks"
    expect_close(got, logits(images, weights, patch, heads), what, 1e-3, 1e-3)


@check("forward", points=1)
def logits_of_square_images(call, rng):
    """Models of one and two blocks on square images, one at a time and three together."""
    expect_logits(call, rng, 1, 3, (2, 2), 2, 1)
    expect_logits(call, rng, 3, 3, (2, 2), 3, 2)


@check("forward", points=1)
def logits_of_images_that_are_not_square(call, rng):
    """Wide and high images of one channel and of four."""
    expect_logits(call, rng, 2, 1, (1, 4), 2, 2)
    expect_logits(call, rng, 2, 4, (3, 2), 2, 1)


@check("forward", points=1)
def logits_of_a_deeper_model(call, rng):
    """Three blocks."""
    expect_logits(call, rng, 2, 3, (2, 3), 2, 3)


@speed_check(
    "forward",
    function="classify",
    points=3,
    thresholds=[(4.0, 0), (16.0, 3)],
    baselines={"a loop over images, patches, heads and queries": ":one_by_one"},
)
def a_batch_is_faster_than_its_images_one_by_one(rng):
    """Time for 32 images of 16 patches, by the judge's clock."""
    images = normal(rng, 32, 3, 16, 16)
    weights = model_weights(rng, 48, 17, 32, 64, 4, 2, 5)
    some = torch.randperm(32, generator=rng())[:3]  # nobody knows beforehand which images are looked at

    def verify(got):
        got = expect_tensor(got, "the logits", (32, 5), "float")
        expect_close(got[some], logits(images[some], weights, 4, 4), "the logits of three of 32 images", 1e-3, 1e-3)

    return Trial(args=(images, weights, 4, 4), verify=verify)
