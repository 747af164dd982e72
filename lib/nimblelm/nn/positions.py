"""Rotary position embeddings, and positions that differ from row to row of a batch."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor


class RowPositions(NamedTuple):
    """Where the T new tokens of each row stand, on the device, for batches in which every row has its own position.

    Chapter: book/ch02_speculative_decoding
    """

    rows: Int[Tensor, "B 1"]  # rows and positions together address the new tokens in a cache: keys[rows, positions]
    positions: Int[Tensor, "B T"]
    lengths: Int32[Tensor, "B"]  # tokens of each row up to the end of its block

    @classmethod
    def of_block(cls, first: Int[Tensor, "B"], length: int) -> "RowPositions":
        """The positions of `length` tokens a row, which start at `first`."""
        rows = torch.arange(len(first), device=first.device)[:, None]
        positions = first[:, None] + torch.arange(length, device=first.device)
        return cls(rows, positions, (first + length).to(torch.int32))


class TreePositions(NamedTuple):
    """Where T new tokens stand that are no line but a tree: several guesses for one place of the text.

    Node i is written to row first + i of the cache and rotated for place first + depths[i]. It sees every row before
    `first`, and of the tree what its row of the mask allows.

    Chapter: book/ch03_medusa_heads
    """

    first: int  # place of the root
    depths: Int[Tensor, "T"]  # steps from the root to each node
    mask: Bool[Tensor, "T T"]  # row i is true at node i and its ancestors


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
        ValueError: head_dim is odd.

    Chapter: book/ch02_speculative_decoding
    """
    if head_dim % 2:
        raise ValueError(f"rotary positions need an even head_dim, got {head_dim}")
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

    Chapter: book/ch02_speculative_decoding
    """
    cos, sin = table.unsqueeze(-2)  # each (T, 1, D) or (B, T, 1, D)
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin  # the roll turns (a, b) into (b, a)
