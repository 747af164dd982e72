"""Prompts of the telephone exchange for training codecs, and held-out speech to test them on."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train_pair import RUNS

SOUNDS = Path("/usr/share/asterisk/sounds")
PACKAGES = "asterisk-core-sounds-{en,es,fr,it,ru}-g722 asterisk-moh-opsound-g722"
TRAINED = ("fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
HELD_OUT = ("en_US_f_Allison", "es_MX_f_Allison")  # a voice and two languages that no codec was trained on
PEAK, NUM_SENTENCES = 0.7, 12


def recordings(folder: str, sounds: Path) -> list[Tensor]:
    """Every prompt of a speaker, 16 kHz; decoded once by ffmpeg, cut at two samples a byte."""
    paths = sorted(path for path in (sounds / folder).rglob("*.g722") if "silence" not in path.parts)
    if not paths:
        sys.exit(f"{sounds / folder} is missing: apt-get install {PACKAGES}, or name another folder with --sounds")
    kept = RUNS / "codec" / f"{folder}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", "-", "-f", "s16le", "-"]
        raw = b"".join(path.read_bytes() for path in paths)
        np.save(kept, np.frombuffer(subprocess.run(command, input=raw, capture_output=True, check=True).stdout, "<i2"))
    everything = torch.from_numpy(np.load(kept)).float()
    ends = np.cumsum([2 * path.stat().st_size for path in paths]).tolist()
    level = PEAK / everything.abs().max()
    return [part * level for part in everything.tensor_split(ends[:-1])]


@cache
def training_sound(sounds: Path) -> Tensor:
    """All training prompts in one line."""
    return torch.cat([part for folder in TRAINED for part in recordings(folder, sounds)])


def crops(stream: Tensor, batch: int, samples: int, generator: torch.Generator) -> Tensor:
    """(B, samples) from anywhere, louder or softer by up to 6 dB, none of them silence."""
    found = []
    while len(found) < batch:
        start = int(torch.randint(len(stream) - samples, (), generator=generator))
        part = stream[start : start + samples]
        if part.abs().max() > 0.02:
            found.append(part * 10 ** (0.6 * torch.rand((), generator=generator) - 0.3))
    return torch.stack(found)


def held_out_sentences(sounds: Path) -> list[Tensor]:
    """Sentences of Allison, English and Spanish by turns, 2.5 to 5 s each."""
    by_language = [[p for p in recordings(f, sounds) if 40_000 <= len(p) <= 80_000] for f in HELD_OUT]
    return [part for pair in zip(*by_language, strict=False) for part in pair][:NUM_SENTENCES]
