"""Magnitude pruning: the smallest weights go, of each layer or of all layers together, at once or bit by bit."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def kept_of(total: int, sparsity: float) -> int:
    """How many of `total` stay at a sparsity, the share that goes: total - round(sparsity total).

    Raises:
        ValueError: the sparsity is not between 0 and 1.

    Chapter: book/ch06_pruning
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity {sparsity} must be between 0 and 1")
    return total - round(sparsity * total)


def largest(scores: Float[Tensor, "*n"], keep: int) -> Bool[Tensor, "*n"]:
    """True for exactly `keep` of the largest scores; of equal ones the earlier, row by row.

    A threshold, scores >= the keep-th largest, keeps more than that where scores are equal, such as zeros.

    Raises:
        ValueError: keep is not between 0 and the number of scores, or a score is nan.

    Chapter: book/ch06_pruning
    """
    flat = scores.reshape(-1)
    if not 0 <= keep <= len(flat):
        raise ValueError(f"keep {keep} must be between 0 and {len(flat)}")
    if bool(flat.isnan().any()):
        raise ValueError("a score is nan")
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask[flat.sort(descending=True, stable=True).indices[:keep]] = True
    return mask.view(scores.shape)


def layer_masks(weights: dict[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """The same share of each matrix goes: its smallest weights by magnitude (Han et al., 2015, arXiv:1506.02626).

    Raises:
        ValueError: as `kept_of` and `largest`, or weights are no floating-point numbers.

    Chapter: book/ch06_pruning
    """
    return {name: largest(_magnitudes(name, w), kept_of(w.numel(), sparsity)) for name, w in weights.items()}


def global_masks(weights: dict[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """The smallest weights of all matrices together go, so that some matrices lose more than others.

    Of equal weights the earlier stays, in the order of the dictionary.

    Raises:
        ValueError: as `layer_masks`, or there are no weights.

    Chapter: book/ch06_pruning
    """
    if not weights:
        raise ValueError("there are no weights to prune")
    together = torch.cat([_magnitudes(name, weight).flatten() for name, weight in weights.items()])
    parts = largest(together, kept_of(len(together), sparsity)).split([w.numel() for w in weights.values()])
    return {name: part.view(weight.shape) for (name, weight), part in zip(weights.items(), parts, strict=True)}


def _magnitudes(name: str, weight: Tensor) -> Tensor:
    if not weight.is_floating_point():  # of whole numbers the least has no magnitude: that of -128 is -128
        raise ValueError(f"{name} is {weight.dtype}: weights must be floating-point numbers")
    return weight.abs()


def cubic_sparsity(final: float, step: int, steps: int) -> float:
    """Sparsity after a step of iterative pruning: much goes at first, little at the end.

    s_t = s_f - s_f (1 - t / n)^3          (Zhu and Gupta, 2018, arXiv:1710.01878, eq. 1, from a dense model)

    Raises:
        ValueError: the final sparsity is not between 0 and 1, or the step not between 0 and steps.

    Chapter: book/ch06_pruning
    """
    if not (0 <= final <= 1 and 0 <= step <= steps and steps >= 1):
        raise ValueError(f"final sparsity {final} must be between 0 and 1, and step {step} between 0 and {steps}")
    return final - final * (1 - step / steps) ** 3
