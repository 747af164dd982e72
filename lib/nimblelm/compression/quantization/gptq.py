"""GPTQ: round a weight matrix column by column, and let the columns that are left make up for the error."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nimblelm.compression.quantization.absmax import Quantized, zero_point_grid
from nimblelm.kernels.weight_only_matmul.quantized_weight import finite_float32

LAZY_BLOCK, DAMPING = 128, 0.01


class InputMoments:
    """H = (2 / n) sum_t x_t x_t^T over the inputs of a layer, batch by batch.

    The Hessian of |W x - W' x|^2, averaged over the inputs, in each row of W' (Frantar et al., 2023,
    arXiv:2210.17323, section 3.1).

    Args:
        width: of an input.

    Chapter: book/ch05_quantization_and_lora
    """

    def __init__(self, width: int):
        self.sum: Float64[Tensor, "K K"] = torch.zeros(width, width, dtype=torch.float64)
        self.count = 0

    def add(self, x: Float[Tensor, "*batch K"]) -> None:
        """Take in more inputs.

        Raises:
            ValueError: they are of another width, nan or infinite.
        """
        if x.shape[-1:] != self.sum.shape[1:] or not x.isfinite().all():
            raise ValueError(f"inputs {tuple(x.shape)} must be finite and {len(self.sum)} wide")
        rows = x.reshape(-1, x.shape[-1]).float()
        self.sum += (rows.T @ rows).double()
        self.count += len(rows)

    @property
    def hessian(self) -> Float64[Tensor, "K K"]:
        """(K, K); raises ValueError where there were no inputs."""
        if not self.count:
            raise ValueError("there were no inputs")
        return self.sum * (2 / self.count)


def inverse_factor(hessian: Float[Tensor, "K K"], damping: float = DAMPING) -> Float64[Tensor, "K K"]:
    """The upper Cholesky factor U of H^-1 = U^T U, with damping times the mean of H's diagonal added to that.

    Row q of U holds what eliminating columns 0 .. q - 1 leaves of row q of H^-1, divided by the root of its diagonal
    (Frantar et al., 2023, section 3.3, step 3). An input that was always 0 has 1 on the diagonal.

    Raises:
        ValueError: damping is not 0 or more and finite, or H with it is not positive definite.

    Chapter: book/ch05_quantization_and_lora
    """
    if not 0 <= damping < float("inf"):
        raise ValueError(f"damping {damping} must be 0 or more and finite")
    hessian = hessian.double().clone()
    diagonal = hessian.diagonal()
    diagonal[diagonal == 0] = 1
    diagonal += damping * diagonal.mean()
    lower, failed = torch.linalg.cholesky_ex(hessian)
    if failed:
        raise ValueError("the Hessian is not positive definite: add damping, or more inputs than columns")
    return torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True)


def gptq(
    weight: Float[Tensor, "N K"],
    hessian: Float[Tensor, "K K"],
    bits: int = 4,
    group_size: int | None = None,
    damping: float = DAMPING,
    lazy_block: int = LAZY_BLOCK,
) -> Quantized:
    """The weight on a zero-point grid, so that W' x stays close to W x rather than W' to W.

    For each column q in order: e = (W_q - Q_q) / U_qq, then W_j -= e U_qj for all j > q      (Frantar et al., 2023,
    arXiv:2210.17323, algorithm 1, with U = `inverse_factor`). Columns beyond the block of `lazy_block` are updated
    once a block, in one product. A group's grid is fitted when its first column is reached, to what the weights are
    by then.

    Args:
        weight: rows are output channels.
        hessian: of the layer's inputs, from `InputMoments`.
        bits: 2 to 8.
        group_size: neighbours of a row that share a grid; the whole row by default.
        damping: see `inverse_factor`.
        lazy_block: columns between two updates of the rest: speed alone.

    Raises:
        ValueError: sizes that do not fit, no such bits, numbers that are not finite; as `inverse_factor`.

    Chapter: book/ch05_quantization_and_lora
    """
    num_rows, num_columns = weight.shape
    group_size = num_columns if group_size is None else group_size
    if hessian.shape != (num_columns, num_columns) or not hessian.isfinite().all():
        raise ValueError(f"a Hessian {tuple(hessian.shape)} must be finite and {num_columns} square")
    if group_size < 1 or num_columns % group_size or lazy_block < 1:
        raise ValueError(f"groups of {group_size} and blocks of {lazy_block} do not fit {num_columns} columns")
    # by column: a column of W is a row of T, whose numbers lie side by side
    T, U = finite_float32(weight).T.double().contiguous(), inverse_factor(hessian, damping)
    T[hessian.diagonal() == 0] = 0  # such an input says nothing about its weights
    values, scales, zeros = torch.empty(num_columns, num_rows), [], []
    for start in range(0, num_columns, lazy_block):
        end = min(start + lazy_block, num_columns)
        errors = torch.zeros(end - start, num_rows, dtype=torch.float64)
        for q in range(start, end):
            if q % group_size == 0:
                group = T[q : q + group_size].clone()
                group[max(end - q, 0) :] -= U[start:q, end : q + group_size].T @ errors[: q - start]
                scale, zero = zero_point_grid(group.T, bits)
                scales, zeros = [*scales, scale], [*zeros, zero]
            values[q] = (T[q] / scales[-1]).round().add(zeros[-1]).clamp(0, 2**bits - 1)
            errors[q - start] = (T[q] - (values[q] - zeros[-1]) * scales[-1]) / U[q, q]
            T[q + 1 : end].addr_(U[q, q + 1 : end], errors[q - start], alpha=-1)
        T[end:] -= U[start:end, end:].T @ errors
    scale, zero = (torch.stack(part, 1).flatten() for part in (scales, zeros))
    return Quantized(values.T.contiguous().to(torch.int16), scale.float(), zero.to(torch.int16), bits)
