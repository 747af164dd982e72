"""What every feature asks of a waveform before it computes anything."""

import torch
from jaxtyping import Float
from torch import Tensor

SAMPLE_RATE_HZ = 16_000  # of Whisper, AST and nearly all speech models


def check_waveform(
    waveform: Float[Tensor, "*batch samples"], least: int = 1, sample_rate_hz: int = SAMPLE_RATE_HZ
) -> None:
    """Refuse what would come out as silence, as nan, or as another pitch.

    Args:
        waveform: float32 or float64; the last dimension is time.
        least: fewest samples that the caller can use.
        sample_rate_hz: rate at which the waveform was sampled.

    Raises:
        ValueError: another dtype (Fourier transforms have no half precision on a CPU), too few samples, or a rate other
            than 16 kHz: a model that was trained at one rate hears another as another voice.
    """
    if waveform.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"a waveform is float32 or float64, this one is {waveform.dtype}")
    samples = waveform.shape[-1] if waveform.ndim else 0
    if samples < least or waveform.numel() == 0:
        raise ValueError(f"a waveform of shape {tuple(waveform.shape)} is too short: it needs {least} samples or more")
    if sample_rate_hz != SAMPLE_RATE_HZ:
        raise ValueError(f"the waveform has {sample_rate_hz} samples a second, not {SAMPLE_RATE_HZ}: resample it")
