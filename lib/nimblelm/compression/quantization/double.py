"""Double quantization: the scales of small blocks are numbers too, and are rounded in their turn."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Float32, Int8
from torch import Tensor

from nimblelm.kernels.absmax import absmax_scales, round_to_scales

SCALE_BLOCK, STEPS = 256, 127


@dataclass(frozen=True)
class DoubleScales:
    """Scales in 8 bits: s[i] ~ mean + steps[i // 256] values[i].

    Scales are positive, so their mean is subtracted first and the rounded numbers lie to both sides of 0.

    Chapter: book/ch05_quantization_and_lora
    """

    values: Int8[Tensor, "n"]
    steps: Float32[Tensor, "blocks"]
    mean: Float32[Tensor, ""]

    @property
    def size_bytes(self) -> int:
        """A byte a scale, four a block of 256, four for the mean."""
        return self.values.nbytes + self.steps.nbytes + self.mean.nbytes

    def dequantize(self) -> Float32[Tensor, "n"]:
        """The scales that the values stand for; at least 0, as a scale is."""
        steps = self.steps.repeat_interleave(SCALE_BLOCK)[: len(self.values)]
        return (self.mean + steps * self.values.float()).clamp(min=0.0)


def quantize_scales(scales: Float[Tensor, "n"]) -> DoubleScales:
    """Round scales to 8 bits in blocks of 256, after their mean was subtracted.

    A scale of 32 bits for each 64 weights costs 32/64 = 0.5 bit a weight; this costs 8/64 + 32/(64 256) = 0.127
    (Dettmers et al., 2023, arXiv:2305.14314, section 3). The paper's second level is an 8-bit float, bitsandbytes'
    a table of 256 numbers; ours is absmax rounding, whose error is at most half a 127th of a block's largest deviation.

    Args:
        scales: of a tensor's blocks, in order.

    Raises:
        ValueError: there are none, or one is nan or infinite.

    Chapter: book/ch05_quantization_and_lora
    """
    scales = scales.float().contiguous()
    if not len(scales):
        raise ValueError("there are no scales to quantize")
    if not scales.isfinite().all():
        raise ValueError("a scale is nan or infinite")
    mean = scales.double().mean().float()  # a sum of scales may be beyond float32
    blocks = F.pad(scales - mean, (0, -len(scales) % SCALE_BLOCK)).unflatten(0, (-1, SCALE_BLOCK))
    steps = absmax_scales(blocks, STEPS, blocks.dtype)
    return DoubleScales(round_to_scales(blocks, steps, STEPS).flatten()[: len(scales)], steps, mean)
