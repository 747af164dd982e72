"""Where somebody speaks: frames louder than the noise, held for a moment, and as stretches of time."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def louder_than_noise(
    energy_db: Float[Tensor, "*batch T"], margin_db: float = 9.0, quantile: float = 0.1
) -> Bool[Tensor, "*batch T"]:
    """Frames whose level exceeds that of the quietest tenth of the recording by a margin: the oldest detector.

    A level of minus infinity is silence, the lowest level that there is.

    Args:
        energy_db: level of each frame in decibels.
        margin_db: above the noise.
        quantile: which quantile of the recording's levels is the noise.

    Raises:
        ValueError: no frames, a level that is nan or above all numbers, a margin that is not finite, or a quantile
            outside of 0 .. 1.

    Chapter: book/ch15_sound_to_log_mel
    """
    if not math.isfinite(margin_db) or not 0 <= quantile <= 1:
        raise ValueError(f"margin_db {margin_db} must be finite, quantile {quantile} within 0 and 1")
    if energy_db.numel() == 0:
        raise ValueError(f"energy_db of shape {tuple(energy_db.shape)} has no frames")
    if energy_db.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"energy_db is {energy_db.dtype}; quantiles need float32 or float64")
    if not bool((energy_db < math.inf).all()):
        raise ValueError(f"energy_db of shape {tuple(energy_db.shape)} has nan or plus infinity")
    levels = energy_db.clamp(min=torch.finfo(energy_db.dtype).min / 4)  # what lies between two silences is no nan
    return energy_db > levels.quantile(quantile, dim=-1, keepdim=True) + margin_db


def held(active: Bool[Tensor, "*batch T"], frames: int) -> Bool[Tensor, "*batch T"]:
    """Activity that goes on for some frames after its end ("hangover"): the quiet end of a word is still the word.

    Raises:
        ValueError: a negative number of frames.

    Chapter: book/ch15_sound_to_log_mel
    """
    if frames < 0:
        raise ValueError(f"frames {frames} must be 0 or more")
    flat = active.reshape(-1, 1, active.shape[-1]).float()
    return F.max_pool1d(F.pad(flat, (frames, 0)), frames + 1, stride=1).bool().reshape(active.shape)


def stretches(active: Bool[Tensor, "T"], frames_per_s: float) -> list[tuple[float, float]]:
    """(begin, end) in seconds of every stretch of active frames.

    Raises:
        ValueError: a rate that is not positive and finite.

    Chapter: book/ch15_sound_to_log_mel
    """
    if not 0 < frames_per_s < math.inf:
        raise ValueError(f"frames_per_s {frames_per_s} must be positive and finite")
    edges = torch.diff(F.pad(active.to(torch.int8), (1, 1)))
    begins, ends = (edges == 1).nonzero()[:, 0].tolist(), (edges == -1).nonzero()[:, 0].tolist()
    return [(begin / frames_per_s, end / frames_per_s) for begin, end in zip(begins, ends, strict=True)]
