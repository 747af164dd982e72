"""Uniform grids of 2 to 8 bits, symmetric or with a zero point: a scale a tensor, a channel or a group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float32, Int16
from torch import Tensor

from nimblelm.kernels.absmax import absmax_scales, round_to_scales
from nimblelm.kernels.weight_only_matmul.quantized_weight import finite_float32

Granularity = Literal["tensor", "channel"] | int  # a number: that many neighbours of a row share a scale
BITS = range(2, 9)


@dataclass(frozen=True)
class Quantized:
    """W[n, k] ~ scale (value - zero point), scale and zero point those of the weight's group.

    Chapter: book/ch05_quantization_and_lora
    """

    values: Int16[Tensor, "N K"]  # whole numbers, of `bits` bits each where they are stored
    scales: Float32[Tensor, "groups"]
    zero_points: Int16[Tensor, "groups"] | None  # none: 0 stands for 0
    bits: int

    @property
    def size_bytes(self) -> int:
        """Values packed without gaps, scales of 4 bytes, zero points of as many bits as a value."""
        zeros = 0 if self.zero_points is None else self.zero_points.numel() * self.bits
        return -(-(self.values.numel() * self.bits + zeros) // 8) + self.scales.nbytes

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "N K"]:
        """The matrix that the grid holds."""
        groups = self.values.reshape(len(self.scales), -1).float()
        if self.zero_points is not None:
            groups = groups - self.zero_points[:, None]
        return (groups * self.scales[:, None]).view(self.values.shape).to(dtype)


def stack_rows(parts: Sequence[Quantized]) -> Quantized:
    """One matrix of the rows of all, as when queries, keys and values become one product.

    Raises:
        ValueError: the parts differ in bits, in width, in the size of their groups, or in having zero points.

    Chapter: book/ch05_quantization_and_lora
    """
    kinds = {
        (part.bits, part.values.shape[1], part.values.numel() // len(part.scales), part.zero_points is None)
        for part in parts
    }
    if len(kinds) != 1:
        raise ValueError(f"the parts differ in (bits, width, group size, symmetric): {sorted(kinds)}")
    zeros = [part.zero_points for part in parts if part.zero_points is not None]
    return Quantized(
        torch.cat([part.values for part in parts]),
        torch.cat([part.scales for part in parts]),
        torch.cat(zeros) if zeros else None,
        parts[0].bits,
    )


def quantize_absmax(weight: Float[Tensor, "N K"], bits: int = 8, granularity: Granularity = "channel") -> Quantized:
    """Round to a grid that is symmetric around 0.

    scale = max |W| / (2^(bits - 1) - 1), value = round(W / scale)      (Dettmers et al., 2022, arXiv:2208.07339,
    section 2), so |W - scale value| <= scale / 2. The lowest whole number, -2^(bits - 1), is not used.

    Args:
        weight: rows are output channels.
        bits: of a value, 2 to 8.
        granularity: what shares a scale.

    Raises:
        ValueError: no such bits or granularity, or a weight that is nan, infinite or beyond float32.

    Chapter: book/ch05_quantization_and_lora
    """
    steps = 2 ** (_checked(bits) - 1) - 1
    groups = _groups(weight, granularity)
    scales = absmax_scales(groups, steps, torch.float32)
    values = round_to_scales(groups, scales, steps).to(torch.int16).view(weight.shape)
    return Quantized(values, scales, None, bits)


def quantize_zero_point(weight: Float[Tensor, "N K"], bits: int = 8, granularity: Granularity = "channel") -> Quantized:
    """Round to a grid from the smallest weight to the largest, on which 0 is a whole number.

    scale = (max(W, 0) - min(W, 0)) / (2^bits - 1), zero = round(-min(W, 0) / scale),
    value = round(W / scale) + zero, cut to 0 .. 2^bits - 1      (Jacob et al., 2018, arXiv:1712.05877, eq. 1)

    Args:
        weight, bits, granularity: as in `quantize_absmax`, with its errors.

    Chapter: book/ch05_quantization_and_lora
    """
    highest = 2 ** _checked(bits) - 1
    groups = _groups(weight, granularity)
    scales, zeros = zero_point_grid(groups, bits)
    values = ((groups / scales[:, None]).round() + zeros[:, None]).clamp(0, highest)
    return Quantized(values.to(torch.int16).view(weight.shape), scales, zeros.to(torch.int16), bits)


def zero_point_grid(
    groups: Float[Tensor, "groups n"], bits: int
) -> tuple[Float[Tensor, "groups"], Float[Tensor, "groups"]]:
    """Scale and zero point of each row, the zero point as a float, in float32 or wider. A row of zeros has scale 1.

    Chapter: book/ch05_quantization_and_lora
    """
    highest = 2 ** _checked(bits) - 1
    groups = groups.to(torch.promote_types(groups.dtype, torch.float32))
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scales = high / highest - low / highest  # each part is finite where the difference is not
    scales = torch.where(scales > torch.finfo(scales.dtype).tiny, scales, 1.0)
    return scales, (-low / scales).round().clamp(0, highest)


def _checked(bits: int) -> int:
    if bits not in BITS:
        raise ValueError(f"{bits} bits are not 2 to 8")
    return bits


def _groups(weight: Tensor, granularity: Granularity) -> Tensor:
    """(groups, n) in float32."""
    if not weight.numel():
        raise ValueError(f"a weight of shape {tuple(weight.shape)} has nothing to quantize")
    weight = finite_float32(weight)
    if granularity == "tensor":
        return weight.reshape(1, -1)
    if granularity == "channel":
        return weight
    if not isinstance(granularity, int) or granularity < 1 or weight.shape[1] % granularity:
        raise ValueError(f"groups of {granularity!r} do not divide rows of {weight.shape[1]}")
    return weight.reshape(-1, granularity)
