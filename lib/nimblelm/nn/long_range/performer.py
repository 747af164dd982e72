"""Performer: the softmax kernel estimated by positive orthogonal random features (FAVOR+), arXiv:2009.14794."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.nn.long_range.linear_attention import causal_kernel_attention, kernel_attention


def orthogonal_directions(
    num_features: int, head_dim: int, generator: torch.Generator | None = None
) -> Float[Tensor, "M D"]:
    """Directions that are normal vectors one by one, and orthogonal to each other in groups of head_dim.

    Rows of a random rotation, each stretched to the length of a normal vector of its own
    (Choromanski et al., 2021, arXiv:2009.14794, section 2.4).

    Args:
        num_features: M.
        head_dim: D.
        generator: source of randomness.

    Chapter: book/ch04_flash_attention
    """
    groups = -(-num_features // head_dim)
    gaussian = torch.randn(groups, head_dim, head_dim, generator=generator)
    rotation, upper = torch.linalg.qr(gaussian)
    rotation = rotation * upper.diagonal(dim1=-2, dim2=-1).sign()[:, None]  # uniform over all rotations
    lengths = torch.randn(num_features, head_dim, generator=generator).norm(dim=1, keepdim=True)
    return rotation.reshape(-1, head_dim)[:num_features] * lengths


def log_softmax_features(x: Float[Tensor, "*B D"], directions: Float[Tensor, "M D"]) -> Float[Tensor, "*B M"]:
    """Logarithms of positive random features whose product estimates exp(q . k) without bias.

    phi(x) = exp(W x - |x|^2 / 2) / sqrt(M), E[phi(q) . phi(k)] = exp(q . k)
    (Choromanski et al., 2021, arXiv:2009.14794, lemma 1).

    Args:
        x: queries or keys, each already multiplied by D^(-1/4) where scores are to be divided by sqrt(D).
        directions: W, from `orthogonal_directions`.

    Chapter: book/ch04_flash_attention
    """
    return x @ directions.T - x.square().sum(-1, keepdim=True) / 2 - math.log(len(directions)) / 2


def performer_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B T H D"],
    v: Float[Tensor, "B T H D"],
    directions: Float[Tensor, "M D"],
    causal: bool = False,
) -> Float[Tensor, "B T H D"]:
    """Linear attention that estimates softmax attention: the more features, the closer.

    Maxima are taken off the logarithms before the exponential; they cancel in the quotient.

    Args:
        q, k, v: queries, keys and values.
        directions: from `orthogonal_directions`.
        causal: query i sees only the keys j <= i.

    Chapter: book/ch04_flash_attention
    """
    q_log, k_log = (log_softmax_features(x * x.shape[-1] ** -0.25, directions) for x in (q, k))
    q_features = (q_log - q_log.amax(-1, keepdim=True)).exp()
    k_features = (k_log - k_log.amax((1, 3), keepdim=True)).exp()  # one number for all keys of a head
    attend = causal_kernel_attention if causal else kernel_attention
    return attend(q_features, k_features, v)
