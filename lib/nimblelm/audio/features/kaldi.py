"""Kaldi's filter bank, which AST and ImageBind read, and AST's normalisation of it."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.framing import frame
from nimblelm.audio.features.mel import mel_filters
from nimblelm.audio.features.mel_spectrum import BLOCK
from nimblelm.audio.features.stft import power_spectrum
from nimblelm.audio.features.waveform import SAMPLE_RATE_HZ, check_waveform
from nimblelm.audio.features.windows import window

FRAME, HOP, N_FFT = 400, 160, 512  # 25 ms and 10 ms at 16 kHz; frames are filled up with zeros
LOWEST_HZ, PRE_EMPHASIS = 20.0, 0.97
AUDIOSET_MEAN, AUDIOSET_STD = -4.2677393, 4.5689974  # of the log filter bank over AudioSet


def kaldi_fbank(
    waveform: Float[Tensor, "*batch samples"],
    num_mels: int = 128,
    window_name: str = "povey",
    sample_rate_hz: int = SAMPLE_RATE_HZ,
) -> Float[Tensor, "*batch num_mels T"]:
    """Natural log of mel energies as Kaldi's compute-fbank-feats makes them, without dither.

    Each frame loses its mean, then x[n] - 0.97 x[n - 1], then a symmetric window, 512 points, |X|^2, HTK mels from 20
    Hz on with sides straight over mels, ln max(mel, 2^-23)     (Povey et al., 2011, "The Kaldi speech recognition
    toolkit")

    Only whole frames: 1 + floor((samples - 400) / 160).

    Args:
        waveform: within -1 and 1; Kaldi itself has 16-bit integers, which adds 2 ln 32768.
        num_mels: bands, 128 for AST.
        window_name: "povey", or "hann" for AST.
        sample_rate_hz: of the waveform; must be 16 kHz.

    Raises:
        ValueError: less than a frame, an unknown window, another rate, or half precision.

    Chapter: book/ch15_sound_to_log_mel
    """
    check_waveform(waveform, FRAME, sample_rate_hz)
    frames = frame(waveform, FRAME, HOP)
    shape, filters = _tables(num_mels, window_name, waveform.dtype)
    parts = [_log_energies(part, shape, filters) for part in frames.split(BLOCK, dim=-2)]
    return torch.cat(parts, dim=-2).mT


def _log_energies(frames: Tensor, shape: Tensor, filters: Tensor) -> Tensor:
    """(*batch, T, num_mels) of one block of frames."""
    level = frames - frames.mean(-1, keepdim=True)
    emphasised = level.clone()
    emphasised[..., 1:].sub_(level[..., :-1], alpha=PRE_EMPHASIS)
    emphasised[..., 0] *= 1 - PRE_EMPHASIS  # the first sample follows itself
    energy = power_spectrum(emphasised * shape, N_FFT)
    return (energy @ filters).clamp(min=torch.finfo(torch.float32).eps).log()


@cache
def _tables(num_mels: int, window_name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The window, and the filters as (bins, num_mels)."""
    options: dict[str, Any] = {"area_norm": False, "low_hz": LOWEST_HZ, "straight_in_mel": True}
    filters = mel_filters(num_mels, N_FFT, SAMPLE_RATE_HZ, "htk", **options)
    filters[:, -1] = 0  # Kaldi leaves the bin of half the sample rate out
    return window(window_name, FRAME, periodic=False, dtype=dtype), filters.T.contiguous().to(dtype)


def ast_features(
    waveform: Float[Tensor, "*batch samples"],
    num_frames: int = 1024,
    num_mels: int = 128,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
) -> Float[Tensor, "*batch num_mels num_frames"]:
    """What AST reads: the filter bank cut or filled up with 0 to a fixed length, then (x - mean) / (2 std).

    mean -4.27 and std 4.57 over AudioSet      (Gong et al., 2021, arXiv:2104.01778, section 2.1, and the authors'
    dataloader.py, which divides by two standard deviations)

    Raises:
        ValueError: less than a frame, no frames asked for, another rate, or half precision.

    Chapter: book/ch15_sound_to_log_mel
    """
    if num_frames < 1:
        raise ValueError(f"num_frames {num_frames} must be 1 or more")
    bank = kaldi_fbank(waveform, num_mels, "hann", sample_rate_hz)[..., :num_frames]
    bank = F.pad(bank, (0, num_frames - bank.shape[-1]))
    return (bank - AUDIOSET_MEAN) / (2 * AUDIOSET_STD)
