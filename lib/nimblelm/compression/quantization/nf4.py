"""NF4: sixteen levels at the quantiles of a normal distribution, and a scale for each block of 64 weights."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from nimblelm.compression.quantization.double import DoubleScales, quantize_scales
from nimblelm.kernels.absmax import absmax_scales
from nimblelm.kernels.weight_only_matmul.quantized_weight import finite_float32

BLOCK = 64
TAIL = (31 / 32 + 29 / 30) / 2  # between the last quantiles of 16 and of 15 equal shares: 0.9677083


@cache
def nf4_levels() -> Float32[Tensor, "16"]:
    """The sixteen levels in rising order: -1 to 1, with 0 among them.

    Positive levels are the normal quantiles of 8 equal steps from TAIL down to 1/2, negative ones of 7, both without
    their 0; with 0 they are 16, divided by the largest      (Dettmers et al., 2023, arXiv:2305.14314, eq. 4 and
    appendix E). Each level so stands for about the same share of normal weights, and 0 is exact.

    Chapter: book/ch05_quantization_and_lora
    """

    def quantiles(count: int) -> Tensor:
        shares = torch.linspace(TAIL, 0.5, count + 1, dtype=torch.float64)[:-1]
        return math.sqrt(2) * torch.erfinv(2 * shares - 1)

    levels = torch.cat([quantiles(8), torch.zeros(1, dtype=torch.float64), -quantiles(7)]).sort().values
    return (levels / levels.max()).float()


@dataclass(frozen=True)
class NF4Weight:
    """W[n, k] ~ scale of its block times a level, two weights to a byte.

    Blocks, of 64 by default, follow one another row by row. Byte j holds the level's number of weight 2j in its high
    half and that of weight 2j + 1 in its low one, as bitsandbytes has it.

    Chapter: book/ch05_quantization_and_lora
    """

    packed: UInt8[Tensor, "half"]
    scales: Float32[Tensor, "blocks"] | DoubleScales
    shape: tuple[int, int]
    block: int = BLOCK

    @property
    def size_bytes(self) -> int:
        """N K / 2, and the scales: 4 bytes each, or a little over 1 when they are quantized too."""
        scales = self.scales.size_bytes if isinstance(self.scales, DoubleScales) else self.scales.nbytes
        return self.packed.nbytes + scales

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "N K"]:
        """The matrix that products use."""
        scales = self.scales.dequantize() if isinstance(self.scales, DoubleScales) else self.scales
        codes = torch.stack([self.packed >> 4, self.packed & 15], -1).view(-1, self.block)
        levels = nf4_levels().to(self.packed.device)[codes.int()]
        return (levels * scales[:, None]).view(self.shape).to(dtype)


def quantize_nf4(weight: Float[Tensor, "N K"], double: bool = True, block: int = BLOCK) -> NF4Weight:
    """The nearest level to W / scale, scale the largest magnitude of each block of weights.

    (Dettmers et al., 2023, arXiv:2305.14314, section 3)

    Args:
        weight: a matrix whose rows are whole blocks.
        double: quantize the scales as well (`quantize_scales`). The levels are chosen by the exact scales, as
            bitsandbytes does.
        block: weights of a row that share a scale; even.

    Raises:
        ValueError: a row is no whole number of blocks, the block is odd, or the weight holds nan, an infinity or a
            number beyond float32.

    Chapter: book/ch05_quantization_and_lora
    """
    num_rows, num_columns = weight.shape
    if block < 2 or block % 2 or num_columns % block or not weight.numel():
        raise ValueError(f"a row of {num_columns} weights is not one or more blocks of {block}, an even number")
    blocks = finite_float32(weight).reshape(-1, block)
    scales = absmax_scales(blocks, 1, torch.float32)
    levels = nf4_levels().to(weight.device)
    borders = (levels[1:] + levels[:-1]) / 2
    codes = torch.bucketize((blocks / scales[:, None]).contiguous(), borders).to(torch.uint8).view(-1, 2)
    packed = codes[:, 0] << 4 | codes[:, 1]
    return NF4Weight(packed, quantize_scales(scales) if double else scales, (num_rows, num_columns), block)
