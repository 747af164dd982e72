"""A batched forward pass: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, known_mistake
from autograder.tasks.a08_vision_transformer.visible.block import plain


def tiny(blocks):
    """(images, weights): one channel, three patches, width 2; after the norm (1, -1), (1, -1), (-1, 1) and (1, -1)."""
    weights = {
        "embed": torch.tensor([[1.0], [0.0]]),
        "embed_bias": torch.tensor([0.0, 0.5]),
        "class_token": torch.tensor([3.0, 1.0]),
        "positions": torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 16.0], [0.0, 0.0]]),
        "blocks": blocks,
        "norm": torch.ones(2),
        "norm_bias": torch.zeros(2),
        "head": torch.eye(4),
        "head_bias": torch.zeros(4),
    }
    return torch.tensor([[[[2.0, 4.0, 3.0]]]]), weights


@check("forward")
def a_model_without_blocks(call, rng):
    """No block at all: embeddings, the last norm and the head. One channel, three patches of 1 x 1, width 2."""
    images, weights = tiny([])
    got = expect_tensor(
        call("classify", images, weights, 1, 1), "the logits", shape=(1, 4), dtype="float", dims="B classes"
    )
    guesses = {
        "the class token's state comes first, then the mean over the patches": torch.tensor([1 / 3, -1 / 3, 1.0, -1.0]),
        "the mean is over the patches, without the class token": torch.tensor([1.0, -1.0, 0.5, -0.5]),
        "every token is normalised once more before the head": torch.tensor([3.0, 1.0, 3.0, 35 / 6]),
        "positions are added to all tokens": torch.tensor([1.0, -1.0, 1.0, -1.0]),
        "normalise the tokens first, then take their mean": torch.tensor([1.0, -1.0, -1.0, 1.0]),
    }
    want = torch.tensor([1.0, -1.0, 1 / 3, -1 / 3])
    expect_close(got[0], want, "the logits", 1e-4, 1e-4, known_mistake(got[0], guesses, 1e-3))


@check("forward")
def blocks_of_zero_change_nothing(call, rng):
    """The same with two blocks of two heads whose branches give 0, and without: the residuals pass the tokens on."""
    none, with_two = (
        expect_tensor(call("classify", *tiny(blocks), 1, 2), "the logits", shape=(1, 4), dtype="float")
        for blocks in ([], [plain(heads=2), plain(heads=2)])
    )
    hint = "a block adds to its tokens; where it adds 0, they stay as they are"
    expect_close(with_two, none, "the logits with two such blocks and without", 1e-4, 1e-4, hint)
