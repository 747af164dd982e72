"""Root-mean-square layer normalisation."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Scale each vector to unit root mean square, then by a learned gain.

    y = gain * x / sqrt(mean(x^2) + eps)          (Zhang and Sennrich, 2019, arXiv:1910.07467, eq. 4)

    The epsilon stands inside the square root, under the mean.

    Args:
        d_model: width of the vectors.
        eps: added to the mean square, so that a zero vector stays finite.

    Raises:
        ValueError: a negative eps, or one that is not finite; x is not d_model wide.
    """

    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__()
        if not 0 <= eps < math.inf:
            raise ValueError(f"eps {eps} must be 0 or more and finite")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        weight = self.weight  # looked up once: a module's parameters are found slowly, and a step of decoding is short
        if x.shape[-1:] != weight.shape:
            raise ValueError(f"x {tuple(x.shape)} is not {len(weight)} wide")
        return F.rms_norm(x, weight.shape, weight, self.eps)
