"""The mel spectrum of a waveform, with all its choices named."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.framing import centred, frame
from nimblelm.audio.features.mel import mel_filters
from nimblelm.audio.features.stft import power_spectrum
from nimblelm.audio.features.windows import window

LOGS = {"log10": math.log(10.0), "ln": 1.0, "decibel": math.log(10.0) / 10}  # natural logarithms in a unit


@dataclass(frozen=True)
class MelConfig:
    """How a mel spectrum is made; the defaults are Whisper's (Radford et al., 2022, arXiv:2212.04356, section 2.2).

    Raises:
        ValueError: a length below 1, a power other than 1 and 2, or an unknown window.
    """

    num_mels: int = 80
    n_fft: int = 400  # samples of a frame: 25 ms at 16 kHz
    hop_length: int = 160  # 10 ms
    sample_rate_hz: int = 16_000
    scale: str = "slaney"
    area_norm: bool = True
    power: int = 2  # 1 magnitude, 2 energy
    window: str = "hann"

    def __post_init__(self):
        if self.hop_length < 1 or self.power not in (1, 2):
            raise ValueError(f"hop_length {self.hop_length} must be 1 or more, power {self.power} 1 or 2")

    @property
    def frames_per_s(self) -> float:
        return self.sample_rate_hz / self.hop_length


WHISPER = MelConfig()
BLOCK = 512  # frames that are transformed at once: what a core's cache holds


def mel_spectrum(
    waveform: Float[Tensor, "*batch samples"], config: MelConfig = WHISPER
) -> Float[Tensor, "*batch num_mels T"]:
    """Energy in each mel band of each frame; frame t is centred on sample t H.

    mel[m, t] = sum over k of F[m, k] |X[k, t]|^power, F the filters of `mel_filters`, X the transform of `stft`

    Fast because frames stay rows from the transform to the product with the filters, |X|^2 is re^2 + im^2 without a
    root that is squared again, and a block of frames stays in the cache on the way.

    Raises:
        ValueError: the waveform is too short or not in float32 or float64.

    Chapter: book/ch15_sound_to_log_mel
    """
    frames = frame(centred(waveform, config.n_fft), config.n_fft, config.hop_length)
    return of_frames(frames, config)


def of_frames(frames: Float[Tensor, "*batch T n_fft"], config: MelConfig) -> Float[Tensor, "*batch num_mels T"]:
    """The mel spectrum of frames that are cut already: what a stream has.

    Chapter: book/ch15_sound_to_log_mel
    """
    shape, filters = _tables(config, frames.dtype)
    block = max(1, BLOCK // max(1, math.prod(frames.shape[:-2])))
    parts = [_mel(part, shape, filters, config.power) for part in frames.split(block, dim=-2)]
    return torch.cat(parts, dim=-2).mT


def _mel(frames: Tensor, shape: Tensor, filters: Tensor, power: int) -> Tensor:
    """(*batch, T, num_mels) of one block."""
    energy = power_spectrum(frames * shape, frames.shape[-1])
    return (energy if power == 2 else energy.sqrt()) @ filters


@cache
def _tables(config: MelConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The window, and the filters as (bins, num_mels)."""
    filters = mel_filters(config.num_mels, config.n_fft, config.sample_rate_hz, config.scale, config.area_norm)
    return window(config.window, config.n_fft, dtype=dtype), filters.T.contiguous().to(dtype)


def compressed(
    mel: Float[Tensor, "*batch num_mels T"], log: str = "log10", floor: float = 1e-10
) -> Float[Tensor, "*batch num_mels T"]:
    """The logarithm of energies, which are raised to a floor first: log(max(mel, floor)).

    Args:
        mel: energies.
        log: "log10", "ln" or "decibel" (10 log10).
        floor: keeps silence finite.

    Raises:
        ValueError: an unknown logarithm, or a floor that is not positive and finite.

    Chapter: book/ch15_sound_to_log_mel
    """
    if log not in LOGS or not 0 < floor < math.inf:
        raise ValueError(f"log {log!r} must be one of {', '.join(LOGS)}, floor {floor} positive and finite")
    return mel.clamp(min=floor).log() / LOGS[log]
