"""Whisper's front end: log-mel spectra as its encoder, Qwen-Audio's and Qwen2-Audio's read them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.mel_spectrum import MelConfig, mel_spectrum
from nimblelm.audio.features.waveform import SAMPLE_RATE_HZ, check_waveform

CHUNK_S = 30  # what the encoder reads at once
RANGE = 8.0  # powers of ten below the loudest value: 80 dB


def whisper_log_mel(
    waveform: Float[Tensor, "*batch samples"], num_mels: int = 80, sample_rate_hz: int = SAMPLE_RATE_HZ
) -> Float[Tensor, "*batch num_mels T"]:
    """Log-mel spectrum with a range of 80 dB below its loudest value, shifted to about -1 .. 1; 100 frames a second.

    L = log10 max(mel, 1e-10);  (max(L, max L - 8) + 4) / 4      (Radford et al., 2022, arXiv:2212.04356, section 2.2,
    and the authors' audio.py)

    The last frame of the transform is dropped, so that 30 s are 3000 frames. The maximum is taken over the whole of
    each waveform: a stream cannot know it.

    Args:
        waveform: mono, within -1 and 1.
        num_mels: 80, or 128 for large-v3 and Qwen2-Audio.
        sample_rate_hz: of the waveform; must be 16 kHz.

    Raises:
        ValueError: the waveform is too short or not in float32 or float64, or has another rate.

    Chapter: book/ch15_sound_to_log_mel
    """
    config = MelConfig(num_mels)
    check_waveform(waveform, config.n_fft // 2 + 1, sample_rate_hz)
    log = mel_spectrum(waveform, config)[..., :-1].clamp(min=1e-10).log10()
    return (torch.maximum(log, log.amax((-2, -1), keepdim=True) - RANGE) + 4) / 4


def padded_to_chunk(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch 480000"]:
    """Thirty seconds: cut, or filled up with silence, as Whisper's encoder wants it.

    Chapter: book/ch15_sound_to_log_mel
    """
    check_waveform(waveform)
    samples = CHUNK_S * SAMPLE_RATE_HZ
    return F.pad(waveform[..., :samples], (0, max(0, samples - waveform.shape[-1])))
