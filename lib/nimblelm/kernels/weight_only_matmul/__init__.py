"""Products with int8 and int4 weights: on a GPU in Triton for up to 128 tokens, elsewhere dequantized."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.weight_only_matmul import reference
from nimblelm.kernels.weight_only_matmul.quantized_weight import (
    Int4Weight,
    Int8Weight,
    check_product,
    quantize_int4,
    quantize_int8,
)

__all__ = ["Int4Weight", "Int8Weight", "quantize_int4", "quantize_int8", "weight_only_matmul"]

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
LOAD_BYTES = 16  # rows of weights must begin where a load of this width may
MAX_TOKENS = 128  # above it products are bound by arithmetic, and unpacking once for cuBLAS costs less


def weight_only_matmul(x: Float[Tensor, "... K"], weight: Int8Weight | Int4Weight) -> Float[Tensor, "... N"]:
    """x W^T with weights read in the bits they are stored in, which is what a decoding step's time consists of.

    Args:
        x: activations; M is the product of the dimensions before K.
        weight: from `quantize_int8` or `quantize_int4`.

    Returns:
        In x's dtype. On a GPU, for 1 to 128 tokens and K a multiple of 16: integers times x, summed and scaled in
        float32. Elsewhere the weights are dequantized to x's dtype and torch multiplies.

    Raises:
        ValueError: x is not K wide, lies on another device, or is in a dtype that no kernel serves.
    """
    check_product(x, weight)
    num_tokens = math.prod(x.shape[:-1])
    if not x.is_cuda or not 0 < num_tokens <= MAX_TOKENS or 0 in weight.shape or weight.shape[1] % LOAD_BYTES:
        return reference.weight_only_matmul(x, weight)
    if x.dtype not in DTYPES:
        raise ValueError(f"dtype {x.dtype} is none of {DTYPES}")
    from nimblelm.kernels.weight_only_matmul import launch

    return launch.weight_only_matmul(x, weight)
