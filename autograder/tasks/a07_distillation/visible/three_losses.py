"""Three losses: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, fail

NAMES = ("student_logits", "teacher_logits", "student_states", "teacher_states", "labels", "lengths")


def losses(call, batch):
    """The four numbers, with their shape checked."""
    got = call("three_losses", *(batch[name] for name in NAMES))
    return expect_tensor(got, "the losses", shape=(4,), dtype="float")


def one_row():
    """Two tokens and two of padding, in which everything is nan."""
    nan = torch.nan
    return {
        "student_logits": torch.tensor([[[0.0, 0.0], [0.0, 0.0], [nan, nan], [nan, nan]]]),
        "teacher_logits": torch.tensor([[[4.0, 1.0], [1.0, 1.0], [nan, nan], [nan, nan]]]).log() * 2,
        "student_states": torch.tensor([[[1.0, 0.0], [0.0, 2.0], [nan, nan], [nan, nan]]]),
        "teacher_states": torch.tensor([[[3.0, 0.0], [5.0, 0.0], [nan, nan], [nan, nan]]]),
        "labels": torch.tensor([[-100, 1, 0, -100]]),
        "lengths": torch.tensor([2]),
    }


@check("three_losses")
def a_row_beside_padding(call, rng):
    """The divergence is that of 0.8 from a half at one token of two; the cosine is 1 at one and 0 at the other."""
    got = losses(call, one_row())
    if bool(got.isnan().any()):
        fail("nan came out: padding holds nan, and 0 times nan is nan; pick the tokens instead", got=got)
    soft = 4 * (0.8 * torch.tensor(1.6).log() + 0.2 * torch.tensor(0.4).log()) / 2
    expect_close(got[1], soft, "the distillation loss", hint="T = 2 and its square, a mean over two tokens")
    expect_close(got[2], torch.tensor(2.0).log(), "the masked loss", hint="one label stands on text, at temperature 1")
    expect_close(got[3], 0.5, "the cosine loss")
    expect_close(got[0], 5 * soft + 2 * torch.tensor(2.0).log() + 0.5, "the total")


@check("three_losses")
def nothing_is_asked(call, rng):
    """No label stands on text."""
    batch = one_row() | {"labels": torch.tensor([[-100, -100, 0, -100]])}
    got = losses(call, batch)
    expect_close(got[2], 0.0, "the masked loss where nothing is asked for")
    expect_close(got[0], 5 * got[1] + got[3], "the total where nothing is asked for")
