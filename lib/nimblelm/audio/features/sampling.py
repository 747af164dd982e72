"""Fewer samples a second, with and without the filter that keeps high tones from coming back as low ones."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.waveform import check_waveform


def alias_hz(frequency_hz: float, sample_rate_hz: float) -> float:
    """The frequency at which a sampled tone is heard: folded back into 0 .. half the sample rate.

    |f - r round(f / r)|     (Shannon, 1949, Proc. IRE 37, theorem 1 says when nothing is folded: f < r / 2)

    Raises:
        ValueError: a frequency that is not finite, or a rate that is not positive.

    Chapter: book/ch15_sound_to_log_mel
    """
    if not (math.isfinite(frequency_hz) and 0 < sample_rate_hz < math.inf):
        raise ValueError(
            f"frequency {frequency_hz} Hz must be finite, the rate {sample_rate_hz} Hz positive and finite"
        )
    return abs(frequency_hz - sample_rate_hz * round(frequency_hz / sample_rate_hz))


def low_pass(factor: int, taps_per_side: int = 16) -> Float[Tensor, "taps"]:
    """A windowed sinc that lets pass what `factor` times fewer samples can hold; float64, its taps sum to 1.

    h[n] = sinc(n / factor) w[n], |n| <= taps_per_side * factor, w the Hann window over it

    Raises:
        ValueError: a factor or a length below 1.

    Chapter: book/ch15_sound_to_log_mel
    """
    if factor < 1 or taps_per_side < 1:
        raise ValueError(f"factor {factor} and taps_per_side {taps_per_side} must be 1 or more")
    reach = factor * taps_per_side
    n = torch.arange(-reach, reach + 1, dtype=torch.float64)
    taps = torch.sinc(n / factor) * (0.5 + 0.5 * torch.cos(math.pi * n / (reach + 1)))
    return taps / taps.sum()


def decimate(
    waveform: Float[Tensor, "*batch samples"], factor: int, filtered: bool = True
) -> Float[Tensor, "*batch fewer"]:
    """Every `factor`-th sample; before that, unless told otherwise, the frequencies go that would alias.

    Args:
        waveform: to be thinned out; outside of it is silence.
        factor: how many times fewer samples.
        filtered: without, what lies above half the new rate comes back below it.

    Raises:
        ValueError: a factor below 1, no samples, or half precision.

    Chapter: book/ch15_sound_to_log_mel
    """
    check_waveform(waveform)
    taps = low_pass(factor).to(waveform.dtype)
    if not filtered or factor == 1:
        return waveform[..., ::factor].clone()
    flat = waveform.reshape(-1, 1, waveform.shape[-1])
    thinned = F.conv1d(flat, taps[None, None], stride=factor, padding=len(taps) // 2)
    return thinned.reshape(*waveform.shape[:-1], -1)
