"""Linformer: keys and values projected along the length, arXiv:2006.04768."""

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.precision import widened


def linformer_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S H D"],
    v: Float[Tensor, "B S H D"],
    project_keys: Float[Tensor, "R S"],
    project_values: Float[Tensor, "R S"],
    scale: float | None = None,
) -> Float[Tensor, "B T H D"]:
    """Softmax attention to R mixtures of the keys instead of to S keys: O(T R) scores.

    O = softmax(scale Q (E K)^T) F V      (Wang et al., 2020, arXiv:2006.04768, eq. 7)

    The projections are learnt for one length S. Each mixture holds keys of every position, so nothing can be causal.

    Args:
        q, k, v: queries, keys and values.
        project_keys, project_values: E and F, shared by all heads here. With both the identity this is full attention.
        scale: factor of the scores, 1 / sqrt(D) by default.

    Raises:
        ValueError: the tensors do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_fit(
        q=(q, "B T H D"), k=(k, "B S H D"), v=(v, "B S H D"),
        project_keys=(project_keys, "R S"), project_values=(project_values, "R S"),
    )  # fmt: skip
    query, key, value, mix_keys, mix_values = widened(q, k, v, project_keys, project_values)
    keys = torch.einsum("rj,bjhd->brhd", mix_keys, key)
    values = torch.einsum("rj,bjhd->brhd", mix_values, value)
    factor: float = q.shape[-1] ** -0.5 if scale is None else scale
    weights = torch.einsum("bihd,brhd->bhir", query * factor, keys).softmax(-1)
    return torch.einsum("bhir,brhd->bihd", weights, values).to(v.dtype)
