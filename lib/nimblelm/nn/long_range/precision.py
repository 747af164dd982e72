"""The dtype in which scores and sums are computed."""

import torch
from torch import Tensor


def widened(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors in float32 at least.

    In float16 a score above 65504 is an infinity, in bfloat16 a sum of ones stops at 256.
    """
    return tuple(x.to(torch.promote_types(x.dtype, torch.float32)) for x in tensors)
