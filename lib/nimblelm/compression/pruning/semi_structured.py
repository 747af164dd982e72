"""n:m sparsity: of every m neighbours in a row n stay, which fixes in advance how much is stored and multiplied."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor


def nm_mask(scores: Float[Tensor, "N K"], n: int = 2, m: int = 4) -> Bool[Tensor, "N K"]:
    """True for the n largest scores of each m neighbours of a row; of equal ones the earlier.

    2:4 is what the tensor cores of GPUs since Ampere multiply (Mishra et al., 2021, arXiv:2104.08378, section 3).

    Args:
        scores: magnitudes, or any other measure of what a weight is worth.

    Raises:
        ValueError: n is not between 0 and m, K is not a multiple of m, or a score is nan.

    Chapter: book/ch06_pruning
    """
    if m < 1 or not 0 <= n <= m or scores.shape[-1] % m:
        raise ValueError(f"{n}:{m} sparsity of {scores.shape[-1]} columns: n must be 0 to m, m divide the columns")
    if bool(scores.isnan().any()):
        raise ValueError("a score is nan")
    groups = scores.unflatten(-1, (-1, m))
    kept = groups.sort(dim=-1, descending=True, stable=True).indices[..., :n]
    return torch.zeros_like(groups, dtype=torch.bool).scatter(-1, kept, True).flatten(-2)


class TwoOfFour(NamedTuple):
    """A matrix with 2:4 sparsity as it is stored: half of the values, and two bits for each that say where it stood.

    Chapter: book/ch06_pruning
    """

    values: Float[Tensor, "N K/2"]
    places: UInt8[Tensor, "N K/8"]  # four places of 0 to 3 a byte, the first in the lowest bits

    @property
    def size_bytes(self) -> int:
        return self.values.nbytes + self.places.nbytes

    def dense(self) -> Float[Tensor, "N K"]:
        """The matrix with its zeros."""
        shifts = torch.arange(0, 8, 2, dtype=torch.uint8, device=self.places.device)
        places = (self.places[..., None] >> shifts & 3).long().flatten(-2)  # (N, K/2)
        pairs = places.unflatten(-1, (-1, 2))
        empty = self.values.new_zeros(*pairs.shape[:-1], 4)
        return empty.scatter(-1, pairs, self.values.unflatten(-1, (-1, 2))).flatten(-2)


def compress_two_of_four(weight: Float[Tensor, "N K"]) -> TwoOfFour:
    """Store a matrix in which two of each four neighbours, or fewer, differ from 0.

    Raises:
        ValueError: K is not a multiple of 8, or some four neighbours hold more than two numbers.

    Chapter: book/ch06_pruning
    """
    if weight.shape[-1] % 8:
        raise ValueError(f"{weight.shape[-1]} columns are not a multiple of 8")
    groups = weight.unflatten(-1, (-1, 4))
    if bool(((groups != 0).sum(-1) > 2).any()):
        raise ValueError("four neighbours hold more than two numbers: prune by nm_mask first")
    places = (groups != 0).byte().sort(dim=-1, descending=True, stable=True).indices[..., :2].sort(dim=-1).values
    values = groups.gather(-1, places).flatten(-2)
    fours = places.flatten(-2).unflatten(-1, (-1, 4)).byte()
    shifts = torch.arange(0, 8, 2, dtype=torch.uint8, device=weight.device)
    return TwoOfFour(values, (fours << shifts).sum(-1).byte())
