"""Smyrf: balanced clusters of queries and keys that are likely to score high, arXiv:2010.05315."""

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.clusters import cluster_attention, merge_rounds
from nimblelm.nn.long_range.precision import widened


def asymmetric_transforms(
    q: Float[Tensor, "B T H D"], k: Float[Tensor, "B S H D"]
) -> tuple[Float[Tensor, "B T H D+2"], Float[Tensor, "B S H D+2"]]:
    """Queries and keys with two further coordinates, so that near means a large product.

    F(q) = [q; 0; sqrt(M^2 - |q|^2)], G(k) = [k; sqrt(M^2 - |k|^2); 0] with M^2 = max |q|^2 + max |k|^2; then
    |F(q) - G(k)|^2 = 2 M^2 - 2 q . k      (Daras et al., 2020, arXiv:2010.05315, section 3)

    Returns:
        (F(q), G(k)), in float32 at least.

    Raises:
        ValueError: q and k do not fit each other.
    """
    check_fit(q=(q, "B T H D"), k=(k, "B S H D"))
    q, k = widened(q, k)
    q_square, k_square = (x.square().sum(-1, keepdim=True) for x in (q, k))
    q_most, k_most = q_square.amax(1, keepdim=True), k_square.amax(1, keepdim=True)  # of each head
    q_rest, k_rest = (q_most - q_square) + k_most, q_most + (k_most - k_square)  # M^2 - |q|^2 would lose a small k_most
    zero_q, zero_k = torch.zeros_like(q_square), torch.zeros_like(k_square)
    return torch.cat([q, zero_q, q_rest.sqrt()], -1), torch.cat([k, k_rest.sqrt(), zero_k], -1)


def smyrf_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S H D"],
    v: Float[Tensor, "B S H D"],
    directions: Float[Tensor, "P D+2"],
    num_clusters: int,
    scale: float | None = None,
) -> Float[Tensor, "B T H D"]:
    """Softmax attention within clusters of equal size, in P rounds merged by their denominators.

    In each round queries and keys are projected on one random direction after `asymmetric_transforms`, sorted, and cut
    into num_clusters equal parts (Daras et al., 2020, arXiv:2010.05315, algorithm 1).

    Args:
        q, k, v: queries, keys and values.
        directions: normal numbers, one vector a round.
        num_clusters: a divisor of T and of S. With one this is full attention.
        scale: factor of the scores, 1 / sqrt(D) by default.

    Raises:
        ValueError: the tensors do not fit each other, or the clusters do not divide the lengths.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q=(q, "B T H D"), k=(k, "B S H D"), v=(v, "B S H D"), directions=(directions, "P D+2"))
    if directions.shape[1] != q.shape[3] + 2:
        raise ValueError(f"directions {tuple(directions.shape)} are not two wider than q {tuple(q.shape)}")
    factor: float = q.shape[-1] ** -0.5 if scale is None else scale
    with torch.no_grad():
        far_q, far_k = asymmetric_transforms(q, k)
        orders = [torch.einsum("bthd,pd->pbht", x, directions.to(x.dtype)).argsort(-1) for x in (far_q, far_k)]
    rounds = [cluster_attention(q, k, v, i, j, num_clusters, False, factor) for i, j in zip(*orders, strict=True)]
    return merge_rounds(rounds).to(v.dtype)
