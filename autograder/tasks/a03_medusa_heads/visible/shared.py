"""What the visible checks of several exercises share."""

import torch

PATHS = torch.tensor([[0, 1, 4, -1], [0, 2, 5, -1], [0, 1, 3, 6]])


def likely_mistake(got, guesses):
    """What most likely went wrong: the hint whose value the answer has, or nothing."""
    return next((words for words, value in guesses.items() if torch.allclose(got, value.to(got.dtype), atol=1e-5)), "")
