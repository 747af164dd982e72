"""Hinton's loss: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail


def loss_and_gradient(call, student, teacher, temperature, real):
    """Both results, with their shapes checked."""
    got = expect_parts(call("soft_loss", student, teacher, temperature, real), "soft_loss", "loss", "gradient")
    return (
        expect_tensor(got[0], "the loss", shape=(), dtype="float"),
        expect_tensor(got[1], "the gradient", shape=tuple(student.shape), dtype="float", dims="B V"),
    )


ALL = torch.tensor([True, True])


@check("loss")
def at_temperature_one(call, rng):
    """Two examples of two classes; the student knows nothing, the teacher says 0.8."""
    teacher = torch.tensor([[4.0, 1.0], [1.0, 4.0]]).log()
    loss, gradient = loss_and_gradient(call, torch.zeros(2, 2), teacher, 1.0, ALL)
    want = 0.8 * torch.tensor(1.6).log() + 0.2 * torch.tensor(0.4).log()
    if abs(float(loss) - float(want) / 2) < 1e-4:
        fail("the loss is a sum over classes; yours is divided by their number", got=loss, want=want)
    expect_close(loss, want, "the loss", hint="a sum over classes, a mean over examples")
    expect_close(gradient, torch.tensor([[-0.15, 0.15], [0.15, -0.15]]), "the gradient", hint="(q - p) / n at T = 1")


@check("loss")
def at_another_temperature(call, rng):
    """The same with logits four times as large at T = 4: the same distributions, sixteen times the loss."""
    teacher = 4 * torch.tensor([[4.0, 1.0], [1.0, 4.0]]).log()
    loss, gradient = loss_and_gradient(call, torch.zeros(2, 2), teacher, 4.0, ALL)
    want = 16 * (0.8 * torch.tensor(1.6).log() + 0.2 * torch.tensor(0.4).log())
    expect_close(loss, want, "the loss at T = 4", 1e-4, 1e-4, hint="the factor T squared belongs to it")
    hint = "T squared in front, 1/T from inside"
    expect_close(gradient, torch.tensor([[-0.6, 0.6], [0.6, -0.6]]), "the gradient at T = 4", hint=hint)


@check("loss")
def padding_counts_nowhere(call, rng):
    """The second example is not real and holds nan."""
    student = torch.tensor([[0.0, 0.0], [torch.nan, 1.0]])
    teacher = torch.tensor([[4.0, 1.0], [7.0, torch.nan]]).log()
    loss, gradient = loss_and_gradient(call, student, teacher, 1.0, torch.tensor([True, False]))
    want = 0.8 * torch.tensor(1.6).log() + 0.2 * torch.tensor(0.4).log()
    expect_close(loss, want, "the loss of one real example", hint="divide by the number of real examples")
    expect_close(gradient, torch.tensor([[-0.3, 0.3], [0.0, 0.0]]), "the gradient of one real example")
