"""Inputs that the tests of weight-only matmuls share."""

import torch

from nimblelm.kernels.weight_only_matmul import Int4Weight, Int8Weight, quantize_int4, quantize_int8


def activations_and_weight(M: int, N: int, K: int, group_size: int, dtype=torch.float32, device="cpu"):
    """x (M, K) and a weight in int4, or in int8 where group_size is 0."""
    generator = torch.Generator().manual_seed(M + N + K)
    weight = torch.randn(N, K, generator=generator).to(device)
    x = torch.randn(M, K, generator=generator).to(device, dtype)
    return x, quantize_int4(weight, group_size) if group_size else quantize_int8(weight)


def eager(x: torch.Tensor, weight: Int8Weight | Int4Weight) -> torch.Tensor:
    """Dequantized and multiplied by torch, both in x's dtype."""
    return x @ weight.dequantize(x.dtype).T
