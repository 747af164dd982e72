"""Absmax rounding, the one that everything in the library uses: whole numbers and what one unit of them is worth."""

import math

import torch
from jaxtyping import Float, Int8
from torch import Tensor


def absmax_scales(x: Float[Tensor, "*rows n"], steps: int, dtype: torch.dtype) -> Float[Tensor, "*rows"]:
    """scale = max_i |x_i| / steps of each row      (Dettmers et al., 2022, arXiv:2208.07339, section 2)

    At least the dtype's smallest normal number: division by it is safe, and zeros, or what is next to them, become 0.
    At most what the last step turns into a finite number again, though the quotient was rounded up. A row with nan or
    an infinity has the scale nan.

    Args:
        x: rows with a scale each.
        steps: whole numbers to either side of 0.
        dtype: of the scales.

    Raises:
        ValueError: steps is below 1.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps to either side of 0 are below 1")
    highest, limits = x.abs().amax(-1), torch.finfo(torch.promote_types(x.dtype, torch.float32))
    most = limits.max / steps * (1 - limits.eps)
    scales = (highest / steps).to(dtype).clamp(torch.finfo(dtype).tiny, min(most, torch.finfo(dtype).max))
    return torch.where(highest.isfinite(), scales, math.nan)


def round_to_scales(x: Float[Tensor, "*rows n"], scales: Float[Tensor, "*rows"], steps: int) -> Int8[Tensor, "*rows n"]:
    """round(x / scale) within -steps to steps; ties to even. Where the scale is nan, 0."""
    exact = torch.promote_types(x.dtype, torch.float32)
    codes = (x.to(exact) / scales[..., None].to(exact)).round().nan_to_num(0.0)
    return codes.clamp(-steps, steps).to(torch.int8)
