"""Patches and back: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, known_mistake


@check("patches")
def the_patches_of_a_small_image(call, rng):
    """Two channels, 4 x 6 pixels that hold their own number, patches of 2 high and 3 wide."""
    pixels = torch.arange(24).view(4, 6)
    images = torch.stack([pixels, 100 + pixels])[None]
    got = expect_tensor(call("to_patches", images, (2, 3)), "the patches", shape=(1, 4, 12), dims="B N F")
    cut = images[0].reshape(2, 2, 2, 2, 3)  # channel, row of the grid, row of the patch, column of both
    want = cut.permute(1, 3, 2, 4, 0).reshape(1, 4, 12)
    guesses = {
        "the channels of a pixel stand side by side; here each channel has its own block": cut.permute(1, 3, 0, 2, 4),
        "patches go row of the grid by row; here column by column": cut.permute(3, 1, 2, 4, 0),
        "the pixels of a patch go row by row; here column by column": cut.permute(1, 3, 4, 2, 0),
        "a reshape moves nothing: axes must be permuted": images,
    }
    flat = {text: value.reshape(1, 4, 12) for text, value in guesses.items()}
    expect_equal(got, want, "the patches", hint=known_mistake(got, flat))


@check("patches")
def padding_and_back(call, rng):
    """A row of three pixels in patches of 2 x 2: three quarters of the second patch are padding."""
    images = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    got = expect_tensor(call("to_patches", images, (2, 2)), "the patches", shape=(1, 2, 4), dims="B N F")
    guesses = {
        "pad at the bottom and at the right, with zeros": torch.tensor([[[0.0, 0, 1, 2], [0, 0, 3, 0]]]),
        "pad at the right, with zeros; here it is at the left": torch.tensor([[[0.0, 1, 0, 0], [2, 3, 0, 0]]]),
    }
    want = torch.tensor([[[1.0, 2, 0, 0], [3, 0, 0, 0]]])
    expect_equal(got, want, "the patches", hint=known_mistake(got, guesses))
    images = torch.arange(9.0).view(1, 1, 3, 3)
    flat = torch.tensor([[[0.0, 1, 3, 4], [2, 0, 5, 0], [6, 7, 0, 0], [8, 0, 0, 0]]])
    back = call("from_patches", flat, (2, 2), (3, 3))
    back = expect_tensor(back, "the image (its padding is cut off)", shape=(1, 1, 3, 3), dims="B C H W")
    guesses = {"patches go row of the grid by row": torch.tensor([[[[0.0, 1, 6], [3, 4, 0], [2, 0, 8]]]])}
    expect_equal(back, images, "the image that comes back", hint=known_mistake(back, guesses))
