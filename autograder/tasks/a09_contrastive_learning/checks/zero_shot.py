"""A classifier of words: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a09_contrastive_learning.oracles import normal
from autograder.tasks.a09_contrastive_learning.visible.zero_shot import chances_of


def by_hand(images, prompts, name_of, class_of, scale):
    """Probabilities by loops over pictures, classes, names and prompts, in float64."""
    names = []
    for m in range(len(class_of)):
        own = [
            one.double() / one.double().norm() for one, name in zip(prompts, name_of.tolist(), strict=True) if name == m
        ]
        mean = torch.stack(own).mean(0)
        names.append(mean / mean.norm())
    found = []
    for image in images.double():
        cosines = [float(image / image.norm() @ name) for name in names]
        classes = range(int(class_of.max()) + 1)
        best = [max(c for c, k in zip(cosines, class_of.tolist(), strict=True) if k == one) for one in classes]
        weights = [math.exp(scale * (one - max(best))) for one in best]
        found.append([one / sum(weights) for one in weights])
    return torch.tensor(found, dtype=torch.float64)


def everything_there(rng, kinds, count):
    """`count` numbers below `kinds`, each of them once at least, in any order."""
    more = torch.randint(0, kinds, (count - kinds,), generator=rng())
    both = torch.cat([torch.arange(kinds), more])
    return both[torch.randperm(count, generator=rng())]


def expect_chances(call, rng, batch, prompts, names, classes, width, scale):
    images, vectors = 3 * normal(rng, batch, width), 2 * normal(rng, prompts, width) + 0.5
    name_of, class_of = everything_there(rng, names, prompts), everything_there(rng, classes, names)
    got = chances_of(call, images, vectors, name_of, class_of, scale)
    what = f"probabilities of {classes} classes with {names} names in {prompts} prompts"
    expect_close(got, by_hand(images, vectors, name_of, class_of, scale), what, 1e-4, 1e-3)


@check("zero_shot", points=1)
def a_name_a_class(call, rng):
    """One prompt or several, one name a class."""
    for prompts, classes in ((3, 3), (9, 3), (integer(rng, 8, 14), 5)):
        expect_chances(call, rng, 4, prompts, classes, classes, 6, 8.0)


@check("zero_shot", points=2)
def several_names_a_class(call, rng):
    """Classes of one name and of many, names of one prompt and of many, in any order."""
    for prompts, names, classes in ((6, 6, 3), (15, 7, 2), (20, 9, 4)):
        expect_chances(call, rng, 5, prompts, names, classes, 5, 4.0)


@check("zero_shot", points=1)
def prompts_of_very_different_lengths(call, rng):
    """Lengths from a hundredth to a hundred: only directions count."""
    images, prompts = normal(rng, 9, 5), normal(rng, 16, 5)
    lengths = 10 ** (4 * torch.rand(16, 1, generator=rng()) - 2)
    name_of, class_of = everything_there(rng, 4, 16), everything_there(rng, 2, 4)
    got = chances_of(call, 50 * images, lengths * prompts, name_of, class_of, 6.0)
    expect_close(got, by_hand(images, prompts, name_of, class_of, 6.0), "the probabilities", 1e-4, 1e-3)


@check("zero_shot", points=1)
def one_class_and_no_scale(call, rng):
    """A single class is certain whatever it is called; at scale 0 all classes are alike, and at no other."""
    expect_chances(call, rng, 3, 4, 2, 1, 4, 5.0)
    expect_chances(call, rng, 3, 12, 6, 4, 8, 0.0)
    expect_chances(call, rng, 3, 12, 6, 4, 8, 2.0)
