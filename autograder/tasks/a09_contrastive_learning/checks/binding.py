"""Binding a third modality: the hidden checks."""

import torch

from autograder.checks import check, expect_close, fail, integer
from autograder.tasks.a09_contrastive_learning.oracles import descended, directions, normal
from autograder.tasks.a09_contrastive_learning.visible.binding import bound


def problem(rng, count, width, features):
    return normal(rng, count, features), directions(rng, count, width), normal(rng, width, features)


@check("binding", points=1)
def the_first_step(call, rng):
    """Random pairs, one step, several scales and rates."""
    for count, scale, rate in ((2, 1.0, 0.1), (6, 10.0, 0.3), (integer(rng, 8, 12), 4.0, 1.0)):
        args = *problem(rng, count, 4, 5), scale, rate, 1
        expect_close(bound(call, *args), descended(*args), f"W after one step with {count} pairs", 1e-4, 1e-3)


@check("binding", points=3)
def many_steps(call, rng):
    """Two to fifteen steps, each from where the last one ended; with one pair there is no wrong answer, and W stays."""
    for count, steps in ((4, 2), (7, integer(rng, 5, 9)), (5, 15), (1, 4)):
        args = *problem(rng, count, 3, 6), 5.0, 0.2, steps
        expect_close(bound(call, *args), descended(*args), f"W after {steps} steps", 1e-3, 1e-3)


@check("binding", points=2)
def texts_find_sounds_that_they_were_never_paired_with(call, rng):
    """Texts near the pictures retrieve the sounds; before the first step they do so by chance."""
    count, width, features = 16, 8, 12
    pictures = directions(rng, count, width)
    mixing, start = normal(rng, width, features), 0.3 * normal(rng, width, features)
    sounds = pictures @ mixing + 0.05 * normal(rng, count, features)
    texts = pictures + 0.1 * normal(rng, count, width)
    weight, want = bound(call, sounds, pictures, start, 8.0, 0.5, 60), descended(sounds, pictures, start, 8.0, 0.5, 60)
    right, best = (found_sounds(texts, sounds, one) for one in (weight, want))
    if right < best - 1:
        fail(f"{right} of {count} texts find their sound; with the steps of the exercise it is {best}")
    expect_close(weight, want, "W after 60 steps", 1e-2, 1e-2)


def found_sounds(texts, sounds, weight):
    """How many texts are nearest to the sound of their own row."""
    heard = sounds.double() @ weight.double().T
    nearest = (texts.double() @ (heard / heard.norm(dim=1, keepdim=True)).T).argmax(1)
    return int((nearest == torch.arange(len(texts))).sum())
