"""The symmetric loss with duplicates: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a09_contrastive_learning.oracles import clip_loss, log_sum_exp, normal
from autograder.tasks.a09_contrastive_learning.visible.symmetric import loss_of


def logits_of(images, texts, log_scale):
    x, y = (one.double() / one.double().norm(dim=1, keepdim=True) for one in (images, texts))
    return min(math.exp(float(log_scale)), 100.0) * x @ y.T


def grouped(logits, group):
    """The loss with shares as targets, cell by cell."""
    table, count, total = logits.tolist(), len(group), 0.0
    for i in range(count):
        right = [j for j in range(count) if group[j] == group[i]]
        column = [row[i] for row in table]
        total += sum(log_sum_exp(table[i]) - table[i][j] + log_sum_exp(column) - column[j] for j in right) / len(right)
    return total / (2 * count)


@check("symmetric", points=1)
def pairs_that_all_differ(call, rng):
    """CLIP's loss, for one pair, for two and for many, at several temperatures."""
    for count, log_scale in ((1, 1.0), (2, 0.0), (9, math.log(1 / 0.07)), (integer(rng, 12, 20), 3.0)):
        images, texts = normal(rng, count, 5), 3 * normal(rng, count, 5)
        scale, numbers = torch.tensor(log_scale), torch.randperm(50, generator=rng())[:count]
        got = loss_of(call, images, texts, scale, numbers)
        expect_close(got, clip_loss(logits_of(images, texts, scale)), f"the loss of {count} pairs", 1e-4, 1e-4)


@check("symmetric", points=2)
def groups_share_what_is_right(call, rng):
    """Groups of several sizes, their members anywhere in the batch."""
    for count, groups in ((4, 2), (9, 4), (12, 3)):
        images, texts, scale = normal(rng, count, 6), normal(rng, count, 6), torch.tensor(2.0)
        group = torch.randint(0, groups, (count,), generator=rng()) * 7 - 3
        want = grouped(logits_of(images, texts, scale), group.tolist())
        expect_close(loss_of(call, images, texts, scale, group), want, f"the loss of {count} pairs", 1e-4, 1e-4)


@check("symmetric", points=1)
def the_cap_and_the_extremes(call, rng):
    """Scales below, at and beyond the cap; pictures that equal captions."""
    x = normal(rng, 6, 4)
    for log_scale in (-2.0, 4.5, 4.7, 9.0, 60.0):
        scale = torch.tensor(log_scale)
        for texts in (x, -x, x.roll(1, 0)):
            want = clip_loss(logits_of(x, texts, scale))
            got = loss_of(call, x, texts, scale, torch.arange(6))
            expect_close(got, want, f"the loss at log_scale {log_scale:g}", 1e-3, 1e-3)


@check("symmetric", points=1)
def one_group_is_all_there_is(call, rng):
    """Everything shows the same thing: every cell is right, and the loss is not 0."""
    images, texts, scale = normal(rng, 7, 3), normal(rng, 7, 3), torch.tensor(1.5)
    want = grouped(logits_of(images, texts, scale), [2] * 7)
    got = loss_of(call, images, texts, scale, torch.full((7,), 2))
    expect_close(got, want, "the loss of one group", 1e-4, 1e-4)
