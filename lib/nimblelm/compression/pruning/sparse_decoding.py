"""Decoding with matrices that are stored without their zeros."""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SparseLinear(nn.Module):
    """y = W x, with W as values, their columns, and where each row begins (compressed sparse rows).

    Eight bytes for each weight that is left, in float32 with 32-bit columns: fewer than dense from half sparsity on. A
    product reads no zeros, but it gathers x instead of streaming it.

    Args:
        weight: with zeros in it.

    Chapter: book/ch06_pruning
    """

    def __init__(self, weight: Float[Tensor, "N K"]):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        starts = torch.cat([torch.zeros(1), (weight != 0).sum(1).cumsum(0).cpu()]).int().to(weight.device)
        places = (weight != 0).nonzero()[:, 1].int()
        values = weight.detach()[weight != 0]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)")  # in beta; off by default
            self.rows = torch.sparse_csr_tensor(starts, places, values, size=weight.shape, check_invariants=True)

    @property
    def size_bytes(self) -> int:
        return sum(part.nbytes for part in (self.rows.crow_indices(), self.rows.col_indices(), self.rows.values()))

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        flat = x.reshape(-1, self.in_features)
        if len(flat) == 1:  # the product of a matrix and a vector is more than twice as fast as that of two matrices
            return torch.mv(self.rows, flat[0]).view(*x.shape[:-1], self.out_features)
        return (self.rows @ flat.T).T.reshape(*x.shape[:-1], self.out_features)


def bitmap_bytes(weight: Float[Tensor, "N K"], bytes_each: float = 4.0) -> int:
    """Bytes of a matrix stored as one bit for each entry, and a number for each that is not 0: the leanest of any mask.

    Args:
        bytes_each: of a number.

    Raises:
        ValueError: bytes_each is negative or not finite.

    Chapter: book/ch06_pruning
    """
    if not 0 <= bytes_each < float("inf"):
        raise ValueError(f"bytes_each {bytes_each} must be 0 or more and finite")
    return -(-weight.numel() // 8) + round(int((weight != 0).sum()) * bytes_each)
