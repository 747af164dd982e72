"""A product with a quantized matrix: the definition, in plain torch."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.weight_only_matmul.quantized_weight import Int4Weight, Int8Weight, check_product


def weight_only_matmul(x: Float[Tensor, "... K"], weight: Int8Weight | Int4Weight) -> Float[Tensor, "... N"]:
    """x W^T with W dequantized to x's dtype; in float64 it is the oracle of the kernels' tests.

    Raises:
        ValueError: x does not fit the weight.
    """
    check_product(x, weight)
    return F.linear(x, weight.dequantize(x.dtype))
