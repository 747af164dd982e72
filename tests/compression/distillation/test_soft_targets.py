"""Hinton's loss against torch's, its gradient against autograd, and both limits of the temperature."""

import pytest
import torch
import torch.nn.functional as F

from nimblelm.compression.distillation.soft_targets import (
    blended_loss,
    distillation_gradient,
    distillation_loss,
    distillation_losses,
)

TEMPERATURES = [0.5, 1.0, 3.0, 20.0]


def logits(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z, v = (3 * torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in "zv")
    return z, v


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_loss_is_torchs_divergence_times_the_squared_temperature(temperature):
    z, v = logits(7, 11)
    p, log_q = (v / temperature).softmax(-1), (z / temperature).log_softmax(-1)
    want = temperature**2 * F.kl_div(log_q, p, reduction="batchmean")
    torch.testing.assert_close(distillation_loss(z, v, temperature), want)
    assert distillation_loss(v, v, temperature) == 0


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradient_is_autograds_and_the_teacher_gets_none(temperature):
    z, v = (x.requires_grad_() for x in logits(2, 3, 5))
    losses = distillation_losses(z, v, temperature)
    assert losses.shape == (2, 3)
    losses.sum().backward()
    torch.testing.assert_close(z.grad, distillation_gradient(z, v, temperature).detach())
    assert v.grad is None


def test_a_hot_gradient_is_that_of_squared_distances_of_logits():
    z, v = logits(6, 9)
    centred = (z - z.mean(-1, keepdim=True)) - (v - v.mean(-1, keepdim=True))
    torch.testing.assert_close(distillation_gradient(z, v, 1e6), centred / 9, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(distillation_gradient(z, v, 1.0), centred / 9, atol=1e-2)


def test_a_cold_gradient_knows_first_choices_alone():
    z, v = logits(40, 6)
    want = F.one_hot(z.argmax(-1), 6) - F.one_hot(v.argmax(-1), 6)
    torch.testing.assert_close(distillation_gradient(z, v, 1e-4) / 1e-4, want.double(), atol=1e-6, rtol=0)


def test_a_class_that_the_teacher_forbids_adds_nothing():
    z, v = logits(4, 5)
    v[:, 2] = -torch.inf
    want = distillation_loss(z, v.masked_fill(v == -torch.inf, -1e6))
    torch.testing.assert_close(distillation_loss(z, v), want)
    z[:, 2] = -torch.inf
    assert distillation_loss(z, v).isfinite()


def test_soft_and_hard_targets_are_blended_and_examples_without_label_are_soft_alone():
    z, v = logits(6, 4)
    labels = torch.tensor([0, 3, -100, 1, -100, 2])
    want = 0.3 * distillation_loss(z, v, 2.0) + 0.7 * F.cross_entropy(z, labels)
    torch.testing.assert_close(blended_loss(z, v, labels, 2.0, 0.3), want)
    none = torch.full((6,), -100)
    torch.testing.assert_close(blended_loss(z, v, none, 2.0, 0.3), 0.3 * distillation_loss(z, v, 2.0))


def test_what_does_not_fit_is_named():
    z, v = logits(3, 4)
    with pytest.raises(ValueError, match="temperature 0"):
        distillation_loss(z, v, 0.0)
    with pytest.raises(ValueError, match="hold no distribution"):
        distillation_loss(z[:0], v[:0])
    with pytest.raises(ValueError, match=r"alpha 2\.0"):
        blended_loss(z, v, torch.zeros(3, dtype=torch.long), alpha=2.0)
    with pytest.raises(ValueError, match="label 4"):
        blended_loss(z, v, torch.tensor([0, 4, 1]))
