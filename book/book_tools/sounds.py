"""Sounds to compare: level-matched, each a file of its own, with a spectrogram; the listening lab plays them."""

import base64
import html
import io
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import numpy as np
import soundfile
import torch
from PIL import Image
from torch import Tensor

from book_tools.widgets import show_widget
from nimblelm.audio.features.mel import hz_to_mel
from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum

LEVEL, PEAK = 0.08, 0.9  # root mean square that sounds are matched to, and the largest sample that any may have
RANGE_DB, NUM_MELS = 70.0, 64  # of a spectrogram
LOSSLESS, SMALL = "flac", "ogg"
_FORMATS = {LOSSLESS: ("FLAC", "PCM_16"), SMALL: ("OGG", "OPUS")}


class Sound(NamedTuple):
    """What a lab plays."""

    waveform: Tensor  # (samples,), within -1 and 1
    note: str = ""  # what it is, in a few words
    sample_rate_hz: int = 16_000


def matched(sounds: Mapping[str, Sound], gated: float = 0.1) -> dict[str, float]:
    """Factors that give all sounds one level: the root mean square of the parts above a tenth of their peak.

    Where a sound would then go beyond the largest sample, all of them become quieter by the same factor.

    Raises:
        ValueError: a sound is silent.
    """
    factors = {}
    for name, sound in sounds.items():
        x = sound.waveform.double()
        if not bool(x.abs().max() > 0):
            raise ValueError(f"the sound {name!r} is silent: there is no level to match")
        blocks = torch.nn.functional.pad(x, (0, -len(x) % 400)).view(-1, 400).square().mean(1).sqrt()
        factors[name] = LEVEL / float(blocks[blocks >= gated * blocks.max()].square().mean().sqrt())
    highest = max(factors[name] * float(sound.waveform.abs().max()) for name, sound in sounds.items())
    return {name: factor * min(1.0, PEAK / highest) for name, factor in factors.items()}


def show_sounds(
    label: str, sounds: Mapping[str, Sound], match: bool = True, file_format: str = LOSSLESS, blind: bool = True
) -> None:
    """Display a listening lab: one transport, every sound in step, a spectrogram with a cursor, a blind test.

    In a notebook, in print and without scripts it is a list of players. When the site is built, sounds and pictures
    become files of their own, which are fetched when somebody asks for a sound.

    Args:
        label: what is compared.
        sounds: by name; the first is what the others are compared with.
        match: give all the same level; without, levels are as they are.
        file_format: "flac", or "ogg" (Opus) where a loss does not matter.
        blind: offer the test of whether a listener can tell the first from the second (ABX).

    Raises:
        ValueError: no sounds, a silent one, one with nan or beyond -1 .. 1, or an unknown format.
    """
    if not sounds or file_format not in _FORMATS:
        raise ValueError(f"{len(sounds)} sounds as {file_format!r}: 1 or more, as one of {', '.join(_FORMATS)}")
    factors = matched(sounds) if match else dict.fromkeys(sounds, 1.0)
    entries, rows = [], []
    for name, sound in sounds.items():
        waveform = sound.waveform.float() * factors[name]
        if not bool((waveform.abs() <= 1).all()):
            raise ValueError(f"the sound {name!r} has nan or samples beyond 1")
        seconds = len(waveform) / sound.sample_rate_hz
        entries.append({"name": name, "note": sound.note, "seconds": round(seconds, 4)})
        rows.append(_player(name, sound, waveform, file_format))
    data = {"label": label, "sounds": entries, "matched": match, "blind": blind and len(sounds) > 1}
    show_widget("listening-lab", label, data, "".join(rows))


def _player(name: str, sound: Sound, waveform: Tensor, file_format: str) -> str:
    """Picture and player of one sound, for where there are no scripts."""
    called, rate_hz = html.escape(name), sound.sample_rate_hz
    caption = html.escape(f"{name}: {sound.note}" if sound.note else name)
    alt = f"Spectrogram of {called}, {len(waveform) / rate_hz:.1f} s"
    picture = f'<img class="lab-picture" loading="lazy" alt="{alt}" src="{_picture(waveform, rate_hz)}">'
    file = _file(waveform, rate_hz, file_format)
    player = f'<audio controls preload="none" aria-label="{called}" src="{file}"></audio>'
    return f'<figure class="lab-sound"><figcaption>{caption}</figcaption>{picture}{player}</figure>'


def _file(waveform: Tensor, sample_rate_hz: int, file_format: str) -> str:
    buffer = io.BytesIO()
    kind, subtype = _FORMATS[file_format]
    soundfile.write(buffer, waveform.numpy(), sample_rate_hz, format=kind, subtype=subtype)
    return f"data:audio/{file_format};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _picture(waveform: Tensor, sample_rate_hz: int) -> str:
    """A palette PNG of mel bands, low ones at the bottom, 70 dB below the loudest; lower rates leave its top black."""
    n_fft, top = round(0.032 * sample_rate_hz / 2) * 2, 8_000
    config = MelConfig(NUM_MELS, n_fft, max(1, n_fft // 2), sample_rate_hz, scale="slaney", area_norm=False)
    padded = torch.nn.functional.pad(waveform, (0, max(0, n_fft - len(waveform))))
    levels = compressed(mel_spectrum(padded, config), "decibel")
    shades = ((levels - levels.max()) / RANGE_DB + 1).clamp(0, 1).flip(0)
    shown = max(1, round(NUM_MELS * _mels(sample_rate_hz / 2) / _mels(top)))
    image = Image.fromarray((shades.numpy() * 63).astype(np.uint8), mode="L").resize((shades.shape[1], shown))
    canvas = Image.new("L", (shades.shape[1], NUM_MELS))
    canvas.paste(image, (0, NUM_MELS - min(shown, NUM_MELS)))
    palette = (matplotlib.colormaps["magma"](np.linspace(0, 1, 64))[:, :3] * 255).astype(np.uint8)
    canvas = canvas.convert("P")
    canvas.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _mels(frequency_hz: float) -> float:
    return float(hz_to_mel(torch.tensor(float(frequency_hz)), "slaney"))
