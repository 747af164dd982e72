"""Hinton's distillation: the student's distribution is brought close to the teacher's, both softened."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.sampling import at_least_float32


def distillation_losses(
    student_logits: Float[Tensor, "*batch V"], teacher_logits: Float[Tensor, "*batch V"], temperature: float = 1.0
) -> Float[Tensor, "*batch"]:
    """How far the student is from the softened teacher, one number for each distribution.

    T^2 KL(p || q), p = softmax(v / T), q = softmax(z / T)      (Hinton et al., 2015, arXiv:1503.02531, section 2)

    The sum over the vocabulary is no mean: `torch.nn.KLDivLoss` divides by V as well if it is not told otherwise.
    T^2 makes up for the gradients, which shrink by 1 / T^2. The teacher gets no gradient.

    Args:
        student_logits: z.
        teacher_logits: v; -inf forbids a class, to the student as well.
        temperature: T, above 0.

    Returns:
        Nats, in float32 or wider.

    Raises:
        ValueError: the temperature is not above 0 and finite, shapes differ, or logits are integers.

    Chapter: book/ch07_distillation
    """
    z, v = _checked(student_logits, teacher_logits, temperature)
    p, q, above, near = _compared(z, v, temperature)
    # q - p has no part in the sum, but where q is near p it takes the rounding error of p log(p / q) away
    each = torch.where(near, p * (torch.expm1(-above) + above), q - p + p * above)
    return temperature**2 * each.sum(-1)


def distillation_loss(
    student_logits: Float[Tensor, "*batch V"], teacher_logits: Float[Tensor, "*batch V"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """The mean of `distillation_losses`, whose arguments and errors it has.

    Raises:
        ValueError: there is no distribution to take the mean of.

    Chapter: book/ch07_distillation
    """
    losses = distillation_losses(student_logits, teacher_logits, temperature)
    if not losses.numel():
        raise ValueError(f"logits {tuple(student_logits.shape)} hold no distribution")
    return losses.mean()


def distillation_gradient(
    student_logits: Float[Tensor, "*batch V"], teacher_logits: Float[Tensor, "*batch V"], temperature: float = 1.0
) -> Float[Tensor, "*batch V"]:
    """The gradient of `distillation_losses` by the student's logits, in closed form.

    dL/dz = T (q - p)      (Hinton et al., 2015, arXiv:1503.02531, eq. 2, times T^2)

    For T -> infinity it is ((z - mean z) - (v - mean v)) / V, the squared distance of logits (eq. 4). For T -> 0 it
    vanishes where both agree on the class, and elsewhere is T at the student's class and -T at the teacher's.

    Args and errors: as `distillation_losses`.

    Chapter: book/ch07_distillation
    """
    z, v = _checked(student_logits, teacher_logits, temperature)
    p, q, above, near = _compared(z, v, temperature)
    return temperature * torch.where(near, p * torch.expm1(-above), q - p)


def blended_loss(
    student_logits: Float[Tensor, "B V"],
    teacher_logits: Float[Tensor, "B V"],
    labels: Int[Tensor, "B"],
    temperature: float = 2.0,
    alpha: float = 0.5,
) -> Float[Tensor, ""]:
    """Soft and hard targets together: alpha times `distillation_loss`, 1 - alpha times the labels' cross-entropy.

    Args:
        student_logits, teacher_logits, temperature: as in `distillation_losses`.
        labels: the right classes; -100 is an example without label, which counts for the first part alone.
        alpha: from 0 to 1.

    Raises:
        ValueError: as `distillation_loss`, alpha is outside [0, 1], or labels are no classes.

    Chapter: book/ch07_distillation
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha {alpha} is outside [0, 1]")
    known = labels_that_count(labels, student_logits)
    soft = distillation_loss(student_logits, teacher_logits, temperature)
    hard = at_least_float32(student_logits)[known].log_softmax(-1).gather(-1, labels[known].long()[:, None])
    return alpha * soft - (1 - alpha) * (hard.mean() if len(hard) else hard.sum())


def labels_that_count(labels: Int[Tensor, "*batch"], logits: Float[Tensor, "*batch V"]) -> Tensor:
    """Where a label is a class, and not -100.

    Raises:
        ValueError: shapes differ, or a label is neither a class nor -100.
    """
    if labels.shape != logits.shape[:-1]:
        raise ValueError(f"labels {tuple(labels.shape)} do not fit logits {tuple(logits.shape)}")
    known = labels != -100
    if bool(((labels < 0) | (labels >= logits.shape[-1]))[known].any()):
        wrong = labels[known & ((labels < 0) | (labels >= logits.shape[-1]))][0].item()
        raise ValueError(f"label {wrong} is neither -100 nor one of {logits.shape[-1]} classes")
    return known


def _compared(z: Tensor, v: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """p, q, log(p / q) or 0 where p has no mass, and where p and q are near each other."""
    log_p, log_q = (v / temperature).log_softmax(-1), (z / temperature).log_softmax(-1)
    p = log_p.exp()
    above = torch.where(p > 0, log_p - log_q, 0)
    near = (above.abs() < 0.5) & (p > 0)
    return p, log_q.exp(), above, near


def _checked(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature} must be above 0 and finite")
    if student_logits.shape != teacher_logits.shape:
        shapes = f"student_logits {tuple(student_logits.shape)}, teacher_logits {tuple(teacher_logits.shape)}"
        raise ValueError(f"{shapes}: shapes differ")
    for name, logits in (("student_logits", student_logits), ("teacher_logits", teacher_logits)):
        if not logits.is_floating_point():
            raise ValueError(f"{name} hold {logits.dtype}, real numbers are needed")
    z, v = at_least_float32(student_logits), at_least_float32(teacher_logits.detach())
    wide = torch.promote_types(z.dtype, v.dtype)
    return z.to(wide), v.to(wide)
