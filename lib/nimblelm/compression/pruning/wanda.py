"""Wanda: a weight is worth its magnitude times the size of the input that it meets."""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from nimblelm.compression.pruning.magnitude import kept_of
from nimblelm.compression.pruning.semi_structured import nm_mask
from nimblelm.compression.quantization.simulated import block_by_block
from nimblelm.language.llama import Llama

Mask = Callable[[Tensor], Tensor]  # scores (N, K) -> what stays


class InputNorms:
    """The root mean square of each feature of a layer's inputs, batch by batch.

    Up to the factor sqrt(number of tokens), which no comparison sees, |X_j|_2 of Sun et al. (2024, arXiv:2306.11695).

    Args:
        width: of an input.

    Chapter: book/ch06_pruning
    """

    def __init__(self, width: int):
        self.sum: Float64[Tensor, "K"] = torch.zeros(width, dtype=torch.float64)
        self.count = 0

    def add(self, x: Float[Tensor, "*batch K"]) -> None:
        """Take in more inputs.

        Raises:
            ValueError: they are of another width, nan or infinite.
        """
        if x.shape[-1:] != self.sum.shape or not x.isfinite().all():
            raise ValueError(f"inputs {tuple(x.shape)} must be finite and {len(self.sum)} wide")
        rows = x.reshape(-1, x.shape[-1]).double()
        self.sum += rows.square().sum(0)
        self.count += len(rows)

    @property
    def norms(self) -> Float64[Tensor, "K"]:
        """(K,); raises ValueError where there were no inputs."""
        if not self.count:
            raise ValueError("there were no inputs")
        return (self.sum / self.count).sqrt()


def wanda_scores(weight: Float[Tensor, "N K"], norms: Float[Tensor, "K"]) -> Float64[Tensor, "N K"]:
    """S_ij = |W_ij| |X_j|_2          (Sun et al., 2024, eq. 1)

    In float64: where products overflow or vanish, all of them are equal.

    Args:
        weight: rows are output channels.
        norms: of the inputs, from `InputNorms`.

    Raises:
        ValueError: as many norms as columns are needed, 0 or more and finite.

    Chapter: book/ch06_pruning
    """
    if norms.shape != weight.shape[1:] or not bool((norms >= 0).all() and norms.isfinite().all()):
        raise ValueError(f"norms {tuple(norms.shape)} must be finite, 0 or more, and {weight.shape[1]} of them")
    return weight.double().abs() * norms.double()


def row_masks(scores: Float[Tensor, "N K"], sparsity: float) -> Bool[Tensor, "N K"]:
    """True for the largest scores of each row: as many in one output as in the other, of equal ones the earlier.

    Wanda compares within an output, not within a layer (Sun et al., 2024, section 3).

    Raises:
        ValueError: the sparsity is not between 0 and 1, or a score is nan.

    Chapter: book/ch06_pruning
    """
    return nm_mask(scores, kept_of(scores.shape[-1], sparsity), scores.shape[-1])


@torch.no_grad()
def wanda_model(model: Llama, tokens: Int[Tensor, "B T"], mask: Mask) -> Llama:
    """Prune every projection of the blocks by Wanda, each block on the inputs that the pruned ones before it give.

    The weights that stay are unchanged.

    Args:
        model: stays as it is.
        tokens: calibration text.
        mask: what stays by the scores of a matrix, such as `lambda scores: row_masks(scores, 0.5)` or `nm_mask`.

    Chapter: book/ch06_pruning
    """

    def prune(name: str, layer: nn.Linear, seen: InputNorms) -> None:
        layer.weight.masked_fill_(~mask(wanda_scores(layer.weight, seen.norms)), 0)

    pruned = copy.deepcopy(model)
    block_by_block(pruned, tokens, InputNorms, prune)
    return pruned
