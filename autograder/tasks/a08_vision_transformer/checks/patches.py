"""Patches and back: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, integer
from autograder.tasks.a08_vision_transformer.oracles import patch

SHAPES = ((3, 6, 8, 3, 2), (1, 4, 15, 2, 5), (4, 9, 4, 3, 4), (3, 5, 7, 5, 7))  # channels, height, width, patch


def expect_patches(call, images, high, wide):
    rows, columns = -(-images.shape[2] // high), -(-images.shape[3] // wide)
    shape = (len(images), rows * columns, high * wide * images.shape[1])
    got = expect_tensor(call("to_patches", images, (high, wide)), "the patches", shape=shape, dims="B N F")
    for image, found in zip(images, got, strict=True):
        want = torch.stack([patch(image, y, x, high, wide) for y in range(rows) for x in range(columns)])
        expect_equal(found, want, f"patches of {high} x {wide} of an image of {tuple(image.shape)}")


@check("patches", points=1)
def patches_go_row_by_row_and_their_pixels_too(call, rng):
    """Images that are divisible, of one, three and four channels, into patches that need not be square."""
    for channels, height, width, high, wide in SHAPES:
        expect_patches(call, torch.randn(2, channels, height, width, generator=rng()), high, wide)


@check("patches", points=1)
def images_are_padded_at_the_bottom_and_at_the_right(call, rng):
    """Images that the patches do not divide."""
    for channels, high, wide in ((3, 4, 3), (1, 3, 5), (2, 8, 8)):
        height, width = integer(rng, 1, 3 * high) * 1 + 1, integer(rng, 1, 3 * wide) + 1
        height, width = height + (height % high == 0), width + (width % wide == 0)
        expect_patches(call, torch.randn(2, channels, height, width, generator=rng()), high, wide)


@check("patches", points=1)
def patches_are_put_together_again(call, rng):
    """From the judge's patches to images, with and without padding."""
    for channels, height, width, high, wide in (*SHAPES, (3, 5, 7, 2, 3), (2, 3, 4, 4, 8)):
        image = torch.randn(channels, height, width, generator=rng())
        rows, columns = -(-height // high), -(-width // wide)
        flat = torch.stack([patch(image, y, x, high, wide) for y in range(rows) for x in range(columns)])
        got = call("from_patches", flat[None], (high, wide), (height, width))
        got = expect_tensor(got, "the image", shape=(1, channels, height, width), dims="B C H W")
        expect_equal(got[0], image, f"an image of {(channels, height, width)} from patches of {high} x {wide}")


@check("patches", points=1)
def bytes_stay_bytes(call, rng):
    """Images of bytes give patches of bytes, and these images of bytes."""
    images = torch.randint(0, 256, (2, 3, 5, 6), generator=rng(), dtype=torch.uint8)
    got = expect_tensor(call("to_patches", images, (2, 4)), "patches of bytes", dtype=torch.uint8)
    expect_equal(got[0, 0], patch(images[0], 0, 0, 2, 4), "the first patch")
    flat = torch.stack([patch(images[0], y, x, 2, 4) for y in range(3) for x in range(2)])[None]
    back = call("from_patches", flat, (2, 4), (5, 6))
    expect_equal(expect_tensor(back, "an image of bytes", dtype=torch.uint8)[0], images[0], "the image of bytes")
