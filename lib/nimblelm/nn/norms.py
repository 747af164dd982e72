"""Root-mean-square layer normalisation."""

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

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
