"""A weight matrix in 8 or 4 bits an entry: symmetric rounding to a grid whose step is the scale."""

from dataclasses import dataclass

import torch
from jaxtyping import BFloat16, Float, Float32, Int8, UInt8
from torch import Tensor

INT8_MAX, INT4_MAX = 127, 7  # symmetric: -128 and -8 stay unused, so that 0 is on the grid and signs are alike
GROUP_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class Int8Weight:
    """W[n, k] ~ scales[n] values[n, k], one scale to an output channel.

    Chapter: book/ch02_speculative_decoding
    """

    values: Int8[Tensor, "N K"]
    scales: Float32[Tensor, "N"]

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)"""
        return self.values.shape[0], self.values.shape[1]

    @property
    def size_bytes(self) -> int:
        """N K + 4 N"""
        return self.values.nbytes + self.scales.nbytes

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "N K"]:
        """The matrix that the product uses."""
        exact = torch.promote_types(dtype, torch.float32)
        return (self.values * self.scales[:, None].to(exact)).to(dtype)


@dataclass(frozen=True)
class Int4Weight:
    """W[n, k] ~ scales[n, k // group_size] values[n, k], two values to a byte.

    Byte j of a group holds in its low half the value of the group's column j, in its high half that of column
    j + group_size / 2, each plus 8. So a tile of bytes becomes two tiles of neighbouring columns without a shuffle.

    Chapter: book/ch02_speculative_decoding
    """

    packed: UInt8[Tensor, "N half_K"]
    scales: BFloat16[Tensor, "N groups"]
    group_size: int

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)"""
        return self.packed.shape[0], 2 * self.packed.shape[1]

    @property
    def size_bytes(self) -> int:
        """N K / 2 + 2 N K / group_size"""
        return self.packed.nbytes + self.scales.nbytes

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "N K"]:
        """The matrix that the product uses."""
        exact = torch.promote_types(dtype, torch.float32)
        values = unpack_int4(self.packed, self.group_size)
        return (values * self.scales.to(exact).repeat_interleave(self.group_size, 1)).to(dtype)


def pack_int4(values: Int8[Tensor, "N K"], group_size: int) -> UInt8[Tensor, "N K//2"]:
    """Two values from -8 to 7 to a byte, in the order that `Int4Weight` describes.

    Chapter: book/ch02_speculative_decoding
    """
    low, high = (values + 8).to(torch.uint8).unflatten(1, (-1, 2, group_size // 2)).unbind(2)  # (N, groups, half)
    return (low | high << 4).flatten(1)


def unpack_int4(packed: UInt8[Tensor, "N half_K"], group_size: int) -> Int8[Tensor, "N 2*half_K"]:
    """The inverse of `pack_int4`.

    Chapter: book/ch02_speculative_decoding
    """
    grouped = packed.unflatten(1, (-1, group_size // 2))
    return torch.stack([grouped & 15, grouped >> 4], 2).flatten(1).to(torch.int8) - 8


def quantize_int8(weight: Float[Tensor, "N K"]) -> Int8Weight:
    """Round each row to 255 steps of its largest magnitude.

    scale_n = max_k |W[n, k]| / 127, value = round(W / scale)        (Dettmers et al., 2022, arXiv:2208.07339, eq. 1)

    so |W - scale value| <= scale / 2, up to float32's rounding of W / scale, and a row of zeros stays one.

    Raises:
        ValueError: the weight holds nan or an infinity.

    Chapter: book/ch02_speculative_decoding
    """
    weight = _finite(weight)
    scales = _scales(weight, INT8_MAX, torch.float32)
    return Int8Weight(_round(weight, scales, INT8_MAX), scales)


def quantize_int4(weight: Float[Tensor, "N K"], group_size: int = 128) -> Int4Weight:
    """Round each group of `group_size` neighbours in a row to 15 steps of its largest magnitude.

    scale = max_group |W| / 7, value = round(W / scale)              (Frantar et al., 2023, arXiv:2210.17323, section 4)

    so |W - scale value| <= scale / 2, up to float32's rounding of W / scale, and a group of zeros stays one. The scale
    is rounded to bfloat16, which has float32's range and a relative error of at most 2^-9, before values are rounded
    by it: 7 steps stay 7.

    Args:
        group_size: 32, 64 or 128 columns to a scale.

    Raises:
        ValueError: no such group size, or it does not divide K; the weight holds nan or an infinity.

    Chapter: book/ch02_speculative_decoding
    """
    if group_size not in GROUP_SIZES:
        raise ValueError(f"group_size {group_size} is none of {GROUP_SIZES}")
    if weight.shape[1] % group_size:
        raise ValueError(f"{weight.shape[1]} columns are not a multiple of group_size {group_size}")
    groups = _finite(weight).unflatten(1, (-1, group_size))
    scales = _scales(groups, INT4_MAX, torch.bfloat16)
    return Int4Weight(pack_int4(_round(groups, scales, INT4_MAX).flatten(1), group_size), scales, group_size)


def _finite(weight: Tensor) -> Tensor:
    if not weight.isfinite().all():
        raise ValueError("the weight holds nan or an infinity")
    return weight.float()


def _scales(weight: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """At least the smallest normal number: division by it is safe, and zeros, or what is next to them, become 0."""
    return (weight.abs().amax(-1) / steps).to(dtype).clamp(min=torch.finfo(dtype).tiny)


def _round(weight: Tensor, scales: Tensor, steps: int) -> Tensor:
    return (weight / scales[..., None].float()).round().clamp(-steps, steps).to(torch.int8)
