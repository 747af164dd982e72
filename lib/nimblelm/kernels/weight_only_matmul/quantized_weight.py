"""A weight matrix in 8 or 4 bits an entry: symmetric rounding to a grid whose step is the scale."""

from dataclasses import dataclass

import torch
from jaxtyping import BFloat16, Float, Float32, Int8, UInt8
from torch import Tensor

from nimblelm.kernels.absmax import absmax_scales, round_to_scales
from nimblelm.kernels.shapes import check_dtype_and_device, check_sizes

INT8_MAX, INT4_MAX = 127, 7  # symmetric: -128 and -8 stay unused, so that 0 is on the grid and signs are alike
GROUP_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class Int8Weight:
    """W[n, k] ~ scales[n] values[n, k], one scale to an output channel.

    The tensors lie row by row, as kernels read them: what does not is copied once, here.

    Raises:
        ValueError: values and scales do not fit each other.
    """

    values: Int8[Tensor, "N K"]
    scales: Float32[Tensor, "N"]

    def __post_init__(self):
        check_sizes(values=(self.values, "N K"), scales=(self.scales, "N"))
        _store_by_row(self, "values", "scales")

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
    The tensors lie row by row, as kernels read them: what does not is copied once, here.

    Raises:
        ValueError: packed, scales and group_size do not fit each other.
    """

    packed: UInt8[Tensor, "N half_K"]
    scales: BFloat16[Tensor, "N groups"]
    group_size: int

    def __post_init__(self):
        if self.group_size not in GROUP_SIZES:
            raise ValueError(f"group_size {self.group_size} is none of {GROUP_SIZES}")
        check_sizes(packed=(self.packed, "N half_K"), scales=(self.scales, "N groups"))
        if self.shape[1] != self.scales.shape[1] * self.group_size:
            raise ValueError(f"{self.scales.shape[1]} groups of {self.group_size} are not {self.shape[1]} columns")
        _store_by_row(self, "packed", "scales")

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


def check_product(x: Float[Tensor, "... K"], weight: Int8Weight | Int4Weight) -> None:
    """x is as wide as the weight, and on its device.

    Raises:
        ValueError: it is not.
    """
    if x.shape[-1:] != weight.shape[1:]:
        raise ValueError(f"x is {x.shape[-1] if x.dim() else 0} wide, the weight has {weight.shape[1]} columns")
    if x.device != weight.scales.device:
        raise ValueError(f"x is on {x.device}, the weight on {weight.scales.device}")


def pack_int4(values: Int8[Tensor, "N K"], group_size: int) -> UInt8[Tensor, "N K//2"]:
    """Two values from -8 to 7 to a byte, in the order that `Int4Weight` describes."""
    low, high = (values + 8).to(torch.uint8).unflatten(1, (-1, 2, group_size // 2)).unbind(2)  # (N, groups, half)
    return (low | high << 4).flatten(1)


def unpack_int4(packed: UInt8[Tensor, "N half_K"], group_size: int) -> Int8[Tensor, "N 2*half_K"]:
    """The inverse of `pack_int4`."""
    grouped = packed.unflatten(1, (-1, group_size // 2))
    return torch.stack([grouped & 15, grouped >> 4], 2).flatten(1).to(torch.int8) - 8


def quantize_int8(weight: Float[Tensor, "N K"]) -> Int8Weight:
    """Round each row to 255 steps of its largest magnitude.

    scale_n = max_k |W[n, k]| / 127, value = round(W / scale)        (Dettmers et al., 2022, arXiv:2208.07339, eq. 1)

    so |W - scale value| <= scale / 2, up to float32's rounding of W / scale, and a row of zeros stays one.

    Raises:
        ValueError: the weight holds nan, an infinity or a number beyond float32.
    """
    weight = finite_float32(weight)
    scales = absmax_scales(weight, INT8_MAX, torch.float32)
    return Int8Weight(round_to_scales(weight, scales, INT8_MAX), scales)


def quantize_int4(weight: Float[Tensor, "N K"], group_size: int = 128) -> Int4Weight:
    """Round each group of `group_size` neighbours in a row to 15 steps of its largest magnitude.

    scale = max_group |W| / 7, value = round(W / scale)              (Frantar et al., 2023, arXiv:2210.17323, section 4)

    so |W - scale value| <= scale / 2, up to float32's rounding of W / scale, and a group of zeros stays one. The scale
    is rounded to bfloat16, which has float32's range and a relative error of at most 2^-9, before values are rounded
    by it: 7 steps stay 7.

    Args:
        group_size: 32, 64 or 128 columns to a scale.

    Raises:
        ValueError: no such group size, or it does not divide K; the weight holds nan, an infinity or a number beyond
            float32.
    """
    if group_size not in GROUP_SIZES:
        raise ValueError(f"group_size {group_size} is none of {GROUP_SIZES}")
    if weight.shape[1] % group_size:
        raise ValueError(f"{weight.shape[1]} columns are not a multiple of group_size {group_size}")
    groups = finite_float32(weight).unflatten(1, (-1, group_size))
    scales = absmax_scales(groups, INT4_MAX, torch.bfloat16)
    return Int4Weight(pack_int4(round_to_scales(groups, scales, INT4_MAX).flatten(1), group_size), scales, group_size)


def _store_by_row(weight: Int8Weight | Int4Weight, *names: str) -> None:
    tensors = [getattr(weight, name) for name in names]
    check_dtype_and_device(**{name: x for name, x in zip(names, tensors, strict=True)})
    for name, x in zip(names, tensors, strict=True):
        object.__setattr__(weight, name, x.contiguous())  # frozen for everybody else


def finite_float32(weight: Float[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
    """The weight in float32.

    Raises:
        ValueError: it holds nan, an infinity or a number beyond float32.
    """
    rounded = weight.float()
    if not rounded.isfinite().all():
        raise ValueError("the weight holds nan or an infinity, or a number that float32 cannot hold")
    return rounded
