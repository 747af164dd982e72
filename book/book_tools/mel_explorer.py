"""What the mel explorer of chapter 15 is given: a sound's samples and the settings that can be tried."""

import base64

import torch
from torch import Tensor

from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum

WINDOW_MS, HOPS_MS, BANDS = (4, 8, 16, 25, 40, 64), (5, 10, 20), (10, 20, 40, 80)
WINDOWS, SCALES = ("rectangular", "hann", "hamming"), ("slaney", "htk")


def mel_explorer(waveform: Tensor, sample_rate_hz: int, name: str) -> dict:
    """The table of the widget: 16-bit samples as base64, and the choices."""
    samples = (waveform.clamp(-1, 1) * 32767).round().to(torch.int16)
    return {
        "name": name,
        "sample_rate_hz": sample_rate_hz,
        "samples": base64.b64encode(samples.numpy().tobytes()).decode(),
        "window_ms": WINDOW_MS,
        "hops_ms": HOPS_MS,
        "bands": BANDS,
        "windows": WINDOWS,
        "scales": SCALES,
    }


def band_levels(waveform: Tensor, config: MelConfig) -> Tensor:
    """Decibels of each band in each frame (num_mels, T), from the 16-bit samples that the widget has."""
    rounded = (waveform.clamp(-1, 1) * 32767).round() / 32768
    return compressed(mel_spectrum(rounded.double(), config), "decibel")


def settings_table(waveform: Tensor, sample_rate_hz: int) -> str:
    """Without scripts: what each window can tell apart, and how often."""
    rows = "".join(
        f"<tr><td>{ms} ms</td><td>{round(ms * sample_rate_hz / 1000)}</td><td>{1000 / ms:.1f} Hz</td>"
        f"<td>{len(waveform) * 100 // sample_rate_hz + 1}</td></tr>"
        for ms in WINDOW_MS
    )
    head = "<tr><th>window</th><th>samples</th><th>between bins</th><th>frames at 10 ms</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
