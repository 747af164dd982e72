"""Attention of a few new queries over a static cache with a length per row: the definition, in plain torch."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.kernels.shapes import check_decoding


def flash_decoding(
    q: Float[Tensor, "B T H D"],
    keys: Float[Tensor, "B S Hkv D"],
    values: Float[Tensor, "B S Hkv D"],
    lengths: Int[Tensor, "B"],
    scale: float | None = None,
) -> Float[Tensor, "B T H D"]:
    """Every score at once, masked, then softmax: what the kernel must equal.

    out_i = softmax_j(scale q_i . k_j) v_j over the rows j < lengths - T + i + 1       (Vaswani et al., 2017, eq. 1)

    Computed in float32, or in float64 where the inputs are: in float64 it is the oracle of the kernel's tests.

    Args:
        q: queries of the T newest tokens.
        keys, values: the static cache.
        lengths: valid rows of each sequence, the T new ones among them.
        scale: 1 / sqrt(D) by default.

    Returns:
        In q's dtype; 0 where a query sees nothing.

    Raises:
        ValueError: shapes, dtypes or devices do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_decoding(q, keys, values, lengths)
    batch, length, num_heads, head_dim = q.shape
    num_rows, num_kv_heads = keys.shape[1:3]
    factor: float = head_dim**-0.5 if scale is None else scale
    accumulator = torch.promote_types(q.dtype, torch.float32)
    grouped = q.to(accumulator).reshape(batch, length, num_kv_heads, num_heads // num_kv_heads, head_dim)

    # Rows that no query sees may hold anything, infinities and nan too, and 0 times those is nan.
    rows = torch.arange(num_rows, device=q.device)
    stale = (rows >= lengths[:, None])[:, :, None, None]  # (B, S, 1, 1)
    keys, values = (part.to(accumulator).masked_fill(stale, 0.0) for part in (keys, values))

    visible = lengths[:, None] - length + 1 + torch.arange(length, device=q.device)  # (B, T)
    hidden = (rows >= visible[:, :, None])[:, :, None, None]  # (B, T, 1, 1, S)
    scores = factor * torch.einsum("bthgd,bshd->bthgs", grouped, keys)
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1).masked_fill(hidden, 0.0)  # no row seen: nan, then 0
    return torch.einsum("bthgs,bshd->bthgd", weights, values).reshape(q.shape).to(q.dtype)
