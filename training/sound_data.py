"""What `train_sound.py` listens to: clips as filter banks, espeak-ng's voices, noises, and the simplest classifier."""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from nimblelm.audio.features.kaldi import kaldi_fbank
from nimblelm.data.voices import Clip, sound

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.voice_words import LANGUAGES as WORDS

LANGUAGES = tuple(WORDS)
CODES = {"en": "en-us", "es": "es-419", "fr": "fr", "it": "it", "ru": "ru"}
TRAINED_VOICES = ("m1", "m2", "m4", "m6", "m7", "f1", "f3", "f4", "croak", "klatt2")
UNSEEN_VOICES = ("m3", "m8", "f2", "f5", "klatt4")
NUM_MELS, NUM_FRAMES = 64, 100
MEAN, SPREAD = -6.0, 8.0  # of the log filter bank over the trained clips, roughly: the same for every model
RATE_HZ = 16_000


class Spoken(NamedTuple):
    """One utterance and what is known of it."""

    waveform: Tensor
    speaker: str
    language: str
    meaning: str


def of_clips(clips: Sequence[Clip]) -> list[Spoken]:
    return [Spoken(sound(one, trim=True), one.speaker, one.language, one.meaning) for one in clips]


def meanings(language: str) -> dict[str, str]:
    """meaning -> word: numbers, days and months, as the voice set names them."""
    words = {kind: WORDS[language][kind].split() for kind in ("numbers", "days", "months")}
    numbers = [*range(21), *range(30, 100, 10), 1000]
    named = {f"number {n}": word for n, word in zip(numbers, words["numbers"], strict=True)}
    named |= {f"day {n}": word for n, word in enumerate(words["days"])}
    return named | {f"month {n + 1}": word for n, word in enumerate(words["months"])}


def synthesized(voices: Sequence[str], cache: Path, seed: int) -> list[Spoken]:
    """Every word of every language in every voice, at a pitch and a speed of its own: the voice says no language."""
    cache.mkdir(parents=True, exist_ok=True)
    generator, spoken = torch.Generator().manual_seed(seed), []
    for voice in voices:
        for language in LANGUAGES:
            for meaning, word in meanings(language).items():
                pitch, speed = (
                    int(torch.randint(low, high, (), generator=generator)) for low, high in ((20, 81), (120, 201))
                )
                command = ["espeak-ng", "-v", f"{CODES[language]}+{voice}", "-p", str(pitch), "-s", str(speed)]
                spoken.append(Spoken(_said([*command, word], cache), f"espeak {voice}", language, meaning))
    return spoken


def _said(command: list[str], cache: Path) -> Tensor:
    file = cache / f"{hashlib.sha256(repr(command).encode()).hexdigest()[:16]}.pt"
    if not file.exists():
        with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
            subprocess.run([*command[:-1], "-w", wav.name, command[-1]], check=True, stdin=subprocess.DEVNULL)
            samples, rate_hz = soundfile.read(wav.name, dtype="float32")
        waveform = torchaudio.functional.resample(torch.from_numpy(samples), rate_hz, RATE_HZ)
        loud = (waveform.abs() > 0.02 * waveform.abs().max()).nonzero()[:, 0]
        torch.save(waveform[loud[0] : loud[-1] + 1].clone(), file)
    return torch.load(file, weights_only=True)


def levelled(waveform: Tensor) -> Tensor:
    return waveform * (0.05 / waveform.square().mean().sqrt().clamp(min=1e-6))


def bank(waveform: Tensor, num_frames: int = NUM_FRAMES, start: int = 0) -> Tensor:
    """(NUM_MELS, num_frames) of a clip that stands in silence, normalised; longer ones are cut."""
    samples = num_frames * 160 + 240
    part = waveform[: samples - start]
    placed = F.pad(part, (start, samples - start - len(part)))
    return (kaldi_fbank(placed, NUM_MELS, "hann") - MEAN) / SPREAD


def banks(spoken: Sequence[Spoken], change=levelled) -> Tensor:
    """(N, NUM_MELS, NUM_FRAMES), every utterance in the middle."""
    waveforms = [change(one.waveform) for one in spoken]
    room = NUM_FRAMES * 160 + 240
    return torch.stack([bank(w, start=max(0, (room - len(w)) // 2)) for w in waveforms])


def own_means(spoken: Sequence[Spoken], change=levelled) -> Tensor:
    """(N, 2 NUM_MELS): mean and spread of each band over the utterance's own frames, nothing else."""
    rows = []
    for one in spoken:
        waveform = change(one.waveform)
        features = (kaldi_fbank(F.pad(waveform, (0, max(0, 400 - len(waveform)))), NUM_MELS, "hann") - MEAN) / SPREAD
        rows.append(torch.cat([features.mean(-1), features.std(-1, correction=0)]))
    return torch.stack(rows)


def noise(kind: str, samples: int, generator: torch.Generator, talkers: Sequence[Tensor] = ()) -> Tensor:
    """Noise with root mean square 1: white, pink, hum (50 Hz and its harmonics), or babble of eight talkers."""
    white = torch.randn(samples, generator=generator)
    if kind == "pink":
        spectrum = torch.fft.rfft(white)
        white = torch.fft.irfft(spectrum / torch.arange(1, len(spectrum) + 1).sqrt(), n=samples)
    elif kind == "hum":
        time = torch.arange(samples) / RATE_HZ
        phases = 6.283 * torch.rand(8, generator=generator)
        white = sum(torch.sin(6.28319 * 50 * (k + 1) * time + phases[k]) / (k + 1) for k in range(8)) + 0.05 * white
    elif kind == "babble":
        white = torch.zeros(samples)
        for pick in torch.randint(len(talkers), (8,), generator=generator).tolist():
            voice = levelled(talkers[pick])
            repeats = samples // len(voice) + 2
            begin = int(torch.randint(len(voice), (), generator=generator))
            white += voice.repeat(repeats)[begin : begin + samples]
    return white / white.square().mean().sqrt()


def telephone(waveform: Tensor) -> Tensor:
    """The band of an old telephone line, 300 to 3400 Hz."""
    spectrum = torch.fft.rfft(waveform)
    hz = torch.linspace(0, RATE_HZ / 2, len(spectrum))
    return torch.fft.irfft(spectrum * ((hz > 300) & (hz < 3400)), n=len(waveform))


def logistic(x: Tensor, y: Tensor, num_classes: int, l2: float = 1e-3) -> "tuple[Tensor, Tensor, Tensor, Tensor]":
    """Multinomial regression by L-BFGS on normalised inputs: (mean, std, weight, bias)."""
    mean, std = x.mean(0), x.std(0).clamp(min=1e-4)
    weight = torch.zeros(num_classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy((x - mean) / std @ weight.T + bias, y) + l2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return mean, std, weight.detach(), bias.detach()


def predicted(model: "tuple[Tensor, Tensor, Tensor, Tensor]", x: Tensor) -> Tensor:
    mean, std, weight, bias = model
    return ((x - mean) / std @ weight.T + bias).argmax(-1)
