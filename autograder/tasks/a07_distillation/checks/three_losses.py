"""Three losses: the hidden checks."""

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a07_distillation.visible.three_losses import losses


def a_batch(rng, rows, length, classes, width, filling=0.0):
    draw = lambda *shape: 2 * torch.randn(*shape, generator=rng())  # noqa: E731
    lengths = torch.randint(1, length + 1, (rows,), generator=rng())
    lengths[0] = length
    padding = torch.arange(length) >= lengths[:, None]
    batch = {
        "student_logits": draw(rows, length, classes),
        "teacher_logits": draw(rows, length, classes),
        "student_states": draw(rows, length, width),
        "teacher_states": draw(rows, length, width),
    }
    for tensor in batch.values():
        tensor[padding] = filling
    labels = torch.randint(classes, (rows, length), generator=rng())
    labels[torch.rand(rows, length, generator=rng()) < 0.6] = -100
    labels[0, 0] = integer(rng, 0, classes - 1)
    return batch | {"labels": labels, "lengths": lengths}


def by_hand(batch):
    soft, hard, cosine = [], [], []
    for b, length in enumerate(batch["lengths"].tolist()):
        for t in range(length):
            z, v, s, u = (
                batch[name][b, t].double()
                for name in ("student_logits", "teacher_logits", "student_states", "teacher_states")
            )
            p = (v / 2).softmax(-1)
            soft.append(4 * (p * (p.log() - (z / 2).log_softmax(-1))).sum())
            cosine.append(1 - (s @ u) / (s.norm() * u.norm()))
            if batch["labels"][b, t] != -100:
                hard.append(-z.log_softmax(-1)[batch["labels"][b, t]])
    parts = [torch.stack(each).mean() for each in (soft, hard, cosine)]
    return torch.stack([5 * parts[0] + 2 * parts[1] + parts[2], *parts])


WHAT = ("the total", "the distillation loss", "the masked loss", "the cosine loss")


def expect_same(call, batch, parts, what):
    got, want = losses(call, batch), by_hand(batch)
    for i in parts:
        expect_close(got[i], want[i], f"{WHAT[i]} {what}", 1e-4, 1e-4)


@check("three_losses", points=1)
def distributions_over_all_tokens(call, rng):
    """Rows of several lengths."""
    for rows in (2, integer(rng, 3, 6)):
        expect_same(call, a_batch(rng, rows, 9, 8, 5), (1,), f"of {rows} rows")


@check("three_losses", points=1)
def hidden_words(call, rng):
    """Labels on text and on padding."""
    for rows in (3, integer(rng, 4, 7)):
        expect_same(call, a_batch(rng, rows, 7, 6, 4), (2,), f"of {rows} rows")


@check("three_losses", points=1)
def directions_of_states(call, rng):
    """States of several lengths."""
    for width in (3, integer(rng, 4, 9)):
        batch = a_batch(rng, 4, 6, 5, width)
        batch["teacher_states"] = batch["teacher_states"] * 7
        expect_same(call, batch, (3,), f"of width {width}")


@check("three_losses", points=2)
def all_beside_nan(call, rng):
    """Padding holds nan, then infinity; all four numbers; then nothing is asked for."""
    for filling in (torch.nan, torch.inf):
        expect_same(call, a_batch(rng, 5, 8, 7, 6, filling), (0, 1, 2, 3), f"beside padding of {filling}")
    nothing = a_batch(rng, 3, 6, 5, 4, torch.nan)
    nothing["labels"] = torch.full((3, 6), -100)
    got = losses(call, nothing)
    expect_close(got[2], 0.0, "the masked loss where nothing is asked for")
    expect_close(got[0], 5 * got[1] + got[3], "the total where nothing is asked for")
