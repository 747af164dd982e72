"""The loss of [RET]: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor

EYE = torch.eye(2)


def loss_of(call, states, places, images, w_text, w_image, log_scale):
    got = call("retrieval_loss", states, places, images, w_text, w_image, torch.tensor(log_scale))
    return expect_tensor(got, "the loss", shape=(), dtype="float")


@check("retrieval")
def two_captions_with_ret(call, rng):
    """States (3, 0) and (0, 2) at [RET], pictures (1, 0) and (0, 5), scale 2: cosines of 1 and 0."""
    states = torch.tensor([[[9.0, 9.0], [3.0, 0.0]], [[0.0, 2.0], [9.0, 9.0]]])
    got = loss_of(call, states, torch.tensor([1, 0]), torch.tensor([[1.0, 0.0], [0.0, 5.0]]), EYE, EYE, math.log(2))
    want = torch.tensor(math.log(1 + math.exp(-2)))
    guesses = {
        "take each caption's state at its own place": loss_of_rows([[1.0, 0.0], [0.7071, 0.7071]]),
        "both are brought to length 1": loss_of_rows([[3.0, 0.0], [0.0, 10.0]]),
        "log_scale is the logarithm of the scale": loss_of_rows([[1.0, 0.0], [0.0, 1.0]], math.log(2)),
    }
    hint = next((text for text, value in guesses.items() if torch.allclose(got, value, atol=1e-3)), "")
    expect_close(got, want, "the loss", 1e-5, 1e-4, hint)


def loss_of_rows(cosines, scale=2.0):
    logits = scale * torch.tensor(cosines)
    own = torch.arange(len(logits))
    by_rows, by_columns = (torch.nn.functional.cross_entropy(one, own) for one in (logits, logits.T))
    return (by_rows + by_columns) / 2


@check("retrieval")
def a_caption_without_ret(call, rng):
    """The second caption has none: its picture is still a wrong answer for the first, and asks nothing itself."""
    states, images = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    got = loss_of(call, states, torch.tensor([0, -1]), images, EYE, EYE, 0.0)
    want = torch.tensor(math.log(1 + math.exp(-1)) / 2)
    hint = "a caption without [RET] has no state to compare" if torch.isclose(got, 2 * want, atol=1e-4) else ""
    expect_close(got, want, "the loss", 1e-5, 1e-4, hint)
