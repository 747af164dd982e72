"""Performer: the softmax kernel estimated by positive orthogonal random features (FAVOR+), arXiv:2009.14794."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.linear_attention import log_kernel_attention
from nimblelm.nn.long_range.precision import widened


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

    Raises:
        ValueError: x and directions are not equally wide.

    Chapter: book/ch04_flash_attention
    """
    check_fit(x=(x, "... D"), directions=(directions, "M D"))
    wide, lines = widened(x, directions)
    logs = wide @ lines.T - wide.square().sum(-1, keepdim=True) / 2 - math.log(len(directions)) / 2
    return logs.to(x.dtype)


def relative_spread(q: Float[Tensor, "*B D"], k: Float[Tensor, "*B D"], num_features: int) -> Float[Tensor, "*B"]:
    """Standard deviation of the estimate of exp(q . k) over its mean, for directions drawn independently.

    sqrt((exp(|q + k|^2) - 1) / M)      (Choromanski et al., 2021, arXiv:2009.14794, lemma 2)

    Directions that are orthogonal do slightly better. No sample shows it where it is large: E[(phi(q) . phi(k))^2]
    comes from directions that reach about 2 |q + k| along q + k, which is as many standard deviations.

    Args:
        q, k: as they stand in exp(q . k).
        num_features: M.

    Raises:
        ValueError: q and k do not fit each other, or num_features is below 1.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q=(q, "... D"), k=(k, "... D"))
    if num_features < 1:
        raise ValueError(f"num_features {num_features} is below 1")
    query, key = widened(q, k)
    square = (query + key).square().sum(-1)
    return (square / 2).exp() * (-(-square).expm1() / num_features).sqrt()  # exp(square) would overflow twice as early


def performer_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S H D"],
    v: Float[Tensor, "B S H D"],
    directions: Float[Tensor, "M D"],
    causal: bool = False,
) -> Float[Tensor, "B T H D"]:
    """Linear attention that estimates softmax attention: the more features, the closer.

    Args:
        q, k, v: queries, keys and values.
        directions: from `orthogonal_directions`.
        causal: query i sees only the keys j <= i; S = T.

    Raises:
        ValueError: the tensors do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q=(q, "B T H D"), k=(k, "B S H D"), v=(v, "B S H D"), directions=(directions, "M D"))
    query, key, lines = widened(q, k, directions)
    q_log, k_log = (log_softmax_features(x * x.shape[-1] ** -0.25, lines) for x in (query, key))
    return log_kernel_attention(q_log, k_log, widened(v)[0], causal).to(v.dtype)
