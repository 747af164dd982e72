"""Windows: what a frame is multiplied by, so that its ends do not look like a click."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# Coefficients of a sum of cosines, w[n] = sum over k of (-1)^k a_k cos(2 pi k n / M)
_COSINES = {"rectangular": (1.0,), "hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08)}
WINDOWS = (*_COSINES, "povey")


def window(
    name: str, length: int, periodic: bool = True, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "length"]:
    """A window by name: rectangular, hann, hamming, blackman, or Kaldi's povey.

    w[n] = sum_k (-1)^k a_k cos(2 pi k n / M), M = length where periodic, else length - 1     (Harris, 1978, "On the use
    of windows for harmonic analysis with the discrete Fourier transform", Proc. IEEE 66, eq. 27 and 31)

    Periodic windows add up to a constant when they overlap, as analysis and synthesis need; symmetric ones are what
    Kaldi and AST use. Povey's is hann ** 0.85.

    Raises:
        ValueError: an unknown name, or a length below 1.

    Chapter: book/ch15_sound_to_log_mel
    """
    if name not in WINDOWS:
        raise ValueError(f"no window is named {name!r}; there are {', '.join(WINDOWS)}")
    if length < 1:
        raise ValueError(f"a window of {length} samples: it must have 1 or more")
    phase = 2 * math.pi * torch.arange(length, dtype=torch.float64) / max(length if periodic else length - 1, 1)
    terms = _COSINES["hann" if name == "povey" else name]
    values = sum((-1) ** k * a * torch.cos(k * phase) for k, a in enumerate(terms)) * torch.ones(length)
    return (values.clamp(min=0) ** 0.85 if name == "povey" else values).to(dtype)
