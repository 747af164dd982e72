"""Rotary position embeddings."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def rotary_table(max_seq_len: int, head_dim: int, base: float = 10_000.0) -> Float[Tensor, "2 T D"]:
    """Cosines and signed sines of every position's rotation angles.

    angle(t, i) = t * base^(-2i / head_dim), i = 0 .. head_dim/2 - 1      (Su et al., 2021, arXiv:2104.09864, eq. 15)

    The two halves of a head are the two coordinates of each rotated plane, so the angles stand twice side by side: the
    cosines as they are, the sines with a minus for the first coordinate.

    Args:
        max_seq_len: number of positions T.
        head_dim: width D of one attention head; even.
        base: the slowest plane turns once in about 2 pi base positions.

    Returns:
        (2, T, D): cosines, then signed sines, in float32.

    Raises:
        ValueError: head_dim is odd, or base is not above 0 and finite.
    """
    if head_dim % 2:
        raise ValueError(f"rotary positions need an even head_dim, got {head_dim}")
    if not 0 < base < math.inf:
        raise ValueError(f"base {base} must be above 0 and finite")
    frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angles = torch.arange(max_seq_len, dtype=torch.float32)[:, None] * frequencies  # (T, D/2)
    cosines, sines = angles.cos(), angles.sin()
    return torch.stack([torch.cat([cosines, cosines], dim=-1), torch.cat([-sines, sines], dim=-1)])  # (2, T, D)


def rotate(x: Float[Tensor, "B T H D"], table: Float[Tensor, "2 *rows T D"]) -> Float[Tensor, "B T H D"]:
    """Turn queries or keys by the angles of their positions.

    (a, b) -> (a cos - b sin, b cos + a sin), with a the first and b the second half of the head
    (Su et al., 2021, arXiv:2104.09864, eq. 34).

    Args:
        x: queries or keys.
        table: the rows of `rotary_table` for these T positions, the same for the whole batch or of each of its rows.

    Raises:
        ValueError: x and table do not fit each other.
    """
    batch, length, _, width = x.shape
    if table.shape not in ((2, length, width), (2, batch, length, width)):
        raise ValueError(f"table {tuple(table.shape)} does not fit x {tuple(x.shape)}")
    cos, sin = table.unsqueeze(-2)  # each (T, 1, D) or (B, T, 1, D)
    turned = x * cos + x.roll(x.shape[-1] // 2, -1) * sin  # the roll turns (a, b) into (b, a)
    return turned.to(x.dtype)  # under autocast x is narrower than the table
