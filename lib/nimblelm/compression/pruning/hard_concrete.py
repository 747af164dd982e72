"""Masks that gradients can learn: the hard concrete distribution, and the multipliers that hold it to a size."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1  # beta, gamma and zeta of Louizos et al.
LOG_ALPHA_LIMIT = math.log(100)  # Sheared LLaMA's code clamps log alpha to this on either side


def sample_mask(
    log_alpha: Float[Tensor, "*n"], generator: torch.Generator | None = None, noise: Tensor | None = None
) -> Float[Tensor, "*n"]:
    """Draw a mask between 0 and 1 that is exactly 0 or 1 with some probability, and has a gradient in log alpha.

    s = sigmoid((log u - log(1 - u) + log alpha) / beta), z = min(1, max(0, s (zeta - gamma) + gamma)), u uniform
    (Louizos et al., 2018, arXiv:1712.01312, eq. 10 and 11): s is a relaxed coin, stretched a little beyond 0 and 1
    and cut back to them.

    Args:
        log_alpha: location of each mask, of any shape: large is open, negative is shut.
        generator: of the uniform numbers.
        noise: the uniform numbers u themselves, strictly between 0 and 1, instead of drawing them.

    Raises:
        ValueError: noise is of another shape, or not strictly between 0 and 1.

    Chapter: book/ch06_pruning
    """
    if noise is None:
        noise = torch.rand(log_alpha.shape, generator=generator, device=log_alpha.device, dtype=torch.float32)
        noise = noise.clamp(1e-6, 1 - 1e-6)
    if noise.shape != log_alpha.shape or not bool(((noise > 0) & (noise < 1)).all()):
        raise ValueError(f"noise {tuple(noise.shape)} must lie between 0 and 1 and be {tuple(log_alpha.shape)}")
    stretched = ((noise.logit() + log_alpha) / TEMPERATURE).sigmoid() * (HIGH - LOW) + LOW
    return stretched.clamp(0, 1).to(log_alpha.dtype)


def open_probability(log_alpha: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Probability that a drawn mask is not 0.

    P(z > 0) = sigmoid(log alpha - beta log(-gamma / zeta))      (Louizos et al., 2018, eq. 12)

    Chapter: book/ch06_pruning
    """
    return (log_alpha - TEMPERATURE * math.log(-LOW / HIGH)).sigmoid()


def settled_mask(log_alpha: Float[Tensor, "... n"], keep: int) -> Float[Tensor, "... n"]:
    """A mask without noise in which exactly `keep` of the last dimension are above 0.

    z = min(1, max(0, sigmoid(log alpha) (zeta - gamma) + gamma)) (Louizos et al., 2018, eq. 13) for the `keep` largest
    log alpha, the earlier one where two are equal, and 0 for the others. One that is kept has at least 0.01.

    Raises:
        ValueError: keep is not between 1 and n, or a log alpha is nan.

    Chapter: book/ch06_pruning
    """
    if not 1 <= keep <= log_alpha.shape[-1]:
        raise ValueError(f"keep {keep} must be between 1 and {log_alpha.shape[-1]}")
    if bool(log_alpha.isnan().any()):
        raise ValueError("a log alpha is nan")
    value = (log_alpha.sigmoid() * (HIGH - LOW) + LOW).clamp(0.01, 1)
    kept = log_alpha.sort(dim=-1, descending=True, stable=True).indices[..., :keep]
    return torch.zeros_like(value).scatter(-1, kept, value.gather(-1, kept))


def lagrangian(sparsity: Float[Tensor, "*n"], target: float, multipliers: Float[Tensor, "2"]) -> Float[Tensor, ""]:
    """What is added to the loss so that an expected sparsity comes to lie at its target.

    mean over masks of l1 (s_hat - s) + l2 (s_hat - s)^2      (Xia et al., 2024, arXiv:2310.06694, section 2.1)

    The weights and masks descend on the sum; the multipliers ascend on it, so that they grow for as long as the
    constraint is broken. Descended like everything else, they go below 0 and pay for breaking it.

    Args:
        sparsity: s_hat, the expected share of masks that are 0, of each group, such as a layer's heads.
        target: s.
        multipliers: l1 and l2, which start at 0.

    Raises:
        ValueError: the target is not between 0 and 1.

    Chapter: book/ch06_pruning
    """
    if not 0 <= target <= 1:
        raise ValueError(f"target {target} must be between 0 and 1")
    error = sparsity - target
    return (multipliers[0] * error + multipliers[1] * error**2).mean()


def ramped(target: float, step: int, warmup_steps: int) -> float:
    """The target of a step: from 0 up to `target` in equal steps, which gives the weights time to make up for it.

    Raises:
        ValueError: the target is not between 0 and 1, step is negative, or warmup_steps below 1.

    Chapter: book/ch06_pruning
    """
    if not 0 <= target <= 1 or step < 0 or warmup_steps < 1:
        raise ValueError(
            f"target {target} must be 0 to 1, step {step} 0 or more, warmup_steps {warmup_steps} 1 or more"
        )
    return target * min(1.0, step / warmup_steps)
