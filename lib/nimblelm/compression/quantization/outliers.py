"""LLM.int8(): a product in 8 bits on both sides, but for the few features that are far larger than the rest."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nimblelm.kernels.absmax import absmax_scales, round_to_scales
from nimblelm.kernels.shapes import check_dtype_and_device, check_sizes
from nimblelm.kernels.weight_only_matmul.quantized_weight import INT8_MAX, finite_float32

THRESHOLD = 6.0
WIDEST = (2**31 - 1) // INT8_MAX**2  # features whose products of 8 bits an int32 can sum


def outlier_features(x: Float[Tensor, "T K"], threshold: float = THRESHOLD) -> Bool[Tensor, "K"]:
    """Features with a value of at least the threshold in any token      (Dettmers et al., 2022, section 3.2)

    Raises:
        ValueError: the threshold is not above 0.

    Chapter: book/ch05_quantization_and_lora
    """
    if not threshold > 0:
        raise ValueError(f"threshold {threshold} must be above 0")
    return (x.abs() >= threshold).any(0)


def vectorwise_int8_product(x: Float[Tensor, "T K"], weight: Float[Tensor, "N K"]) -> Float[Tensor, "T N"]:
    """x W^T through whole numbers: a scale to each token and to each output channel.

    y[t, n] ~ s_x[t] s_w[n] sum_k round(x[t, k] / s_x[t]) round(W[n, k] / s_w[n])      (Dettmers et al., 2022,
    arXiv:2208.07339, eq. 7). The sum is exact in int32: 127^2 K stays below 2^31 up to K = 133,000.

    Raises:
        ValueError: x and weight do not fit, are wider than that, or one holds nan, an infinity or a number beyond
            float32.

    Chapter: book/ch05_quantization_and_lora
    """
    check_sizes(x=(x, "T K"), weight=(weight, "N K"))
    check_dtype_and_device(x=x, weight=weight)
    if x.shape[1] > WIDEST:
        raise ValueError(f"sums of {x.shape[1]} products do not fit into int32, of {WIDEST} they do")
    integers, scales = [], []
    for rows in (finite_float32(x), finite_float32(weight)):
        scales.append(absmax_scales(rows, INT8_MAX, torch.float32))
        integers.append(round_to_scales(rows, scales[-1], INT8_MAX).int())
    return (integers[0] @ integers[1].T * (scales[0][:, None] * scales[1])).to(x.dtype)


def llm_int8_product(
    x: Float[Tensor, "T K"], weight: Float[Tensor, "N K"], threshold: float = THRESHOLD
) -> Float[Tensor, "T N"]:
    """x W^T with outlier features multiplied as they are and all others in 8 bits.

    y = sum_{k in O} x_k W_k + vectorwise_int8(x without O, W without O)      (Dettmers et al., 2022, eq. 8)

    Raises:
        ValueError: as `outlier_features` and `vectorwise_int8_product`.

    Chapter: book/ch05_quantization_and_lora
    """
    check_sizes(x=(x, "T K"), weight=(weight, "N K"))
    check_dtype_and_device(x=x, weight=weight)
    outliers = outlier_features(x, threshold)
    exact = x[:, outliers] @ weight[:, outliers].T
    if outliers.all():
        return exact
    return exact + vectorwise_int8_product(x[:, ~outliers], weight[:, ~outliers])
