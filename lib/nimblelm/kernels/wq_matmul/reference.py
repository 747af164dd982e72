"""A product with a quantized matrix: the definition, in plain torch."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.wq_matmul.quantized_weight import Int4Weight, Int8Weight


def wq_matmul(x: Float[Tensor, "... K"], weight: Int8Weight | Int4Weight) -> Float[Tensor, "... N"]:
    """x W^T with W dequantized to x's dtype; in float64 it is the oracle of the kernels' tests.

    Chapter: book/ch02_speculative_decoding
    """
    return F.linear(x, weight.dequantize(x.dtype))
