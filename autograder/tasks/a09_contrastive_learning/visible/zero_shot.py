"""A classifier of words: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor


def chances_of(call, images, prompts, name_of, class_of, scale):
    got = call("zero_shot", images, prompts, name_of, class_of, scale)
    shape = (len(images), int(class_of.max()) + 1)
    return expect_tensor(got, "the probabilities", shape=shape, dtype="float", dims="B K")


@check("zero_shot")
def two_names_of_two_classes(call, rng):
    """Name 0 has the prompts (4, 0) and (0, 1), name 1 has (0, -1); the picture is (1, 0), the scale 2."""
    prompts = torch.tensor([[4.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    got = chances_of(call, torch.tensor([[5.0, 0.0]]), prompts, torch.tensor([0, 0, 1]), torch.tensor([0, 1]), 2.0)
    half = 0.5**0.5

    def softmax(*scores):
        return torch.tensor([scores]).softmax(1)

    guesses = {
        "bring each prompt to length 1 before the mean": softmax(2 * 4 / 17**0.5, 0.0),
        "bring the mean to length 1 again": softmax(1.0, 0.0),
        "bring the pictures to length 1": softmax(10 * half, 0.0),
        "the mean of a name's prompts, at length 1, is asked for": softmax(2.0, 0.0),
        "multiply the cosines by the scale": softmax(half, 0.0),
    }
    hint = next((text for text, value in guesses.items() if torch.allclose(got, value, atol=1e-4)), "")
    expect_close(got, softmax(2 * half, 0.0), "the probabilities", 1e-5, 1e-4, hint)


@check("zero_shot")
def a_class_of_two_names(call, rng):
    """Class 0 has the names (1, 0) and (-0.6, 0.8), class 1 the name (0, 1); a picture of (1, 0), scale 1."""
    prompts = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-0.6, 0.8]])
    got = chances_of(call, torch.tensor([[1.0, 0.0]]), prompts, torch.tensor([2, 0, 1]), torch.tensor([0, 0, 1]), 1.0)
    names = torch.tensor([1.0, -0.6, 0.0]).softmax(0)
    guesses = {
        "the nearest name of a class counts, not the mean of its names": torch.tensor([0.2, 0.0]).softmax(0),
        "the nearest name of a class counts, not the sum over its names": torch.tensor([0.4, 0.0]).softmax(0),
        "names of a class are kept apart, not averaged into one vector": torch.tensor([0.2**0.5, 0.0]).softmax(0),
        "prompt j belongs to the name name_of[j], not to name j": torch.tensor([1.0, -0.6]).softmax(0),
        "take the nearest name before the softmax, not the sum of probabilities after it": torch.stack(
            [names[:2].sum(), names[2]]
        ),
    }
    hint = next((text for text, value in guesses.items() if torch.allclose(got[0], value, atol=1e-4)), "")
    expect_close(got[0], torch.tensor([1.0, 0.0]).softmax(0), "the probabilities", 1e-5, 1e-4, hint)
