"""How weights lie in memory when a CPU multiplies a few tokens by them."""

from torch import Tensor, nn


def store_by_column(model: nn.Module) -> None:
    """Lay each linear layer's weight out column by column; its values, shape and name stay.

    A decoder's pass over T tokens multiplies x (T, in) by W^T (in, out). The BLAS of a CPU streams W^T where it lies in
    memory row by row, which is W column by column. Where W lies row by row and T is more than about three, it packs a
    transposed copy first, which a short block feels. The product of a single token takes the same time either way.

    Weights that an embedding shares stay as they are: lookups read them by rows.
    """
    looked_up = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    for module in model.modules():
        if isinstance(module, nn.Linear) and id(module.weight) not in looked_up:
            module.weight.data = by_column(module.weight.data)


def by_column(weight: Tensor) -> Tensor:
    """A matrix of the same values whose columns lie one behind the other; itself where they do already."""
    return weight if weight.stride(0) == 1 else weight.t().contiguous().t()
