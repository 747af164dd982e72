"""What `train_recogniser.py` hears: words in many synthesizers' voices, laid end to end and changed anew each time."""

import ctypes
import random
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from language_model import track
from nimblelm.audio.features.mel_spectrum import mel_spectrum
from nimblelm.audio.recognition.ctc import repeats
from nimblelm.audio.recognition.recogniser import MEL, normalised
from nimblelm.audio.recognition.vocabulary import INDEX, LETTERS, NUMBER_WORDS
from nimblelm.data.number_words import english_number
from sound_data import RATE_HZ, levelled, noise

LETTER_NAMES = "A bee see dee ee eff jee aitch eye jay kay el em en oh pee cue ar ess tee you vee W ex why zee"
SAID: dict[str, str] = dict(  # letters as every synthesizer's dictionary reads them
    zip(
        LETTERS,
        LETTER_NAMES.split(),
        strict=True,
    )
)
UNSEEN_VOICES = ("f2", "m3", "Andrea", "max")  # of espeak-ng; flite's slt and the recorded speaker are unseen as well
ROBOTS = ("robo", "whisper", "Demonic", "Uni", "Robot", "Tweaky", "fast", "Anxious", "Alien")
ACCENTS = ("en-us", "en-us", "en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-gb-x-gbcwmd")
TAKES = 2  # of each word in each voice of espeak-ng, at another pitch, speed and accent
Voice = dict[str, list[Tensor]]  # word -> takes


def synthesized(folder: Path, seed: int) -> dict[str, Voice]:
    """Every word in every voice; made once, kept under `cache`."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "voices.pt"
    if not kept.exists():
        torch.save(_espeak(seed) | _flite(seed) | _festival(), kept)
    return torch.load(kept, weights_only=True)


def _espeak(seed: int) -> dict[str, Voice]:
    """In this process, by espeak-ng's library: a process for each of ten thousand words would take half an hour."""
    draw, heard = random.Random(seed), []
    listed = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True).stdout
    variants = sorted({line.split("!v/")[1].split()[0] for line in listed.splitlines() if "!v/" in line})
    library = ctypes.CDLL("libespeak-ng.so.1")
    rate_hz = library.espeak_Initialize(2, 0, None, 0)  # 2: samples come back at once
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    @kind
    def collect(samples, count, events):
        heard.extend(samples[:count] if samples else [])
        return 0

    library.espeak_SetSynthCallback(collect)
    voices: dict[str, Voice] = {}
    for variant in track([v for v in variants if not v.startswith(ROBOTS)], "espeak-ng"):
        voice: Voice = {}
        for word in (*NUMBER_WORDS, *LETTERS):
            voice[word] = []
            for _ in range(TAKES):
                heard.clear()
                library.espeak_SetVoiceByName(f"{draw.choice(ACCENTS)}+{variant}".encode())
                library.espeak_SetParameter(1, draw.randint(110, 210), 0)  # words a minute
                library.espeak_SetParameter(3, draw.randint(25, 85), 0)  # pitch
                text = SAID.get(word, word).encode() + b"\0"
                library.espeak_Synth(text, len(text), 0, 0, 0, 1, None, None)
                voice[word].append(_cut(torch.tensor(heard, dtype=torch.float32) / 2**15, rate_hz))
        voices[f"espeak {variant}"] = voice
    return voices


def _flite(seed: int) -> dict[str, Voice]:
    draw = random.Random(seed)
    voices: dict[str, Voice] = {}
    for name in track(("kal", "kal16", "awb", "rms", "slt"), "flite"):
        voices[f"flite {name}"] = {word: [] for word in (*NUMBER_WORDS, *LETTERS)}
        for word, takes in voices[f"flite {name}"].items():
            for _ in range(3):
                change = [
                    f"duration_stretch={draw.uniform(0.8, 1.4):.2f}",
                    f"int_f0_target_mean={draw.randint(90, 220)}",
                ]
                with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
                    command = ["flite", "-voice", name, "--setf", change[0], "--setf", change[1], "-o", wav.name]
                    subprocess.run([*command, "-t", SAID.get(word, word)], check=True, capture_output=True)
                    takes.append(_read(wav.name))
    return voices


def _festival() -> dict[str, Voice]:
    """One process for each voice and speed."""
    voices: dict[str, Voice] = {}
    for name in ("kal_diphone", "ked_diphone"):
        voice: Voice = {word: [] for word in (*NUMBER_WORDS, *LETTERS)}
        for stretch in (0.85, 1.05, 1.3):
            with tempfile.TemporaryDirectory() as folder:
                lines = [f"(voice_{name})", f"(Parameter.set 'Duration_Stretch {stretch})"]
                for word in voice:
                    said = f'(utt.synth (Utterance Text "{SAID.get(word, word)}"))'
                    lines.append(f'(utt.save.wave {said} "{folder}/{word}.wav" \'riff)')
                script = Path(folder) / "all.scm"
                script.write_text("\n".join(lines))
                subprocess.run(["festival", "-b", str(script)], check=True, capture_output=True)
                for word, takes in voice.items():
                    takes.append(_read(f"{folder}/{word}.wav"))
        voices[f"festival {name}"] = voice
    return voices


def _read(file: str) -> Tensor:
    samples, rate_hz = soundfile.read(file, dtype="float32")
    return _cut(torch.from_numpy(samples), rate_hz)


def _cut(samples: Tensor, rate_hz: int) -> Tensor:
    """At 16 kHz, at one level, without silence at its ends."""
    waveform = _resampler(rate_hz)(samples)
    loud = (waveform.abs() > 0.02 * waveform.abs().max()).nonzero()[:, 0]
    return levelled(waveform[loud[0] : loud[-1] + 1]).clone()


@cache
def _resampler(rate_hz: int) -> torchaudio.transforms.Resample:
    return torchaudio.transforms.Resample(rate_hz, RATE_HZ)


def some_words(draw: random.Random) -> list[str]:
    """A number as it is said, number words in any order, digits, or letters with digits between."""
    kind = draw.random()
    if kind < 0.2:
        return english_number(int(10 ** draw.uniform(0, 6)) - 1)[:7]
    if kind < 0.5:
        return draw.choices(NUMBER_WORDS, k=draw.randint(2, 5))
    if kind < 0.65:
        return draw.choices(NUMBER_WORDS[:10], k=draw.randint(2, 5))
    if kind < 0.9:
        return draw.choices(LETTERS, k=draw.randint(2, 7))
    return draw.choices(LETTERS + NUMBER_WORDS[:10], k=draw.randint(2, 7))


def composed(
    words: Sequence[str],
    takes: Callable[[str], Tensor],
    draw: random.Random,
    changed: bool,
    spans: list[tuple[int, int]] | None = None,
) -> Tensor:
    """Words end to end with pauses; changed ones come at a speed, a pitch and formants of their own.

    Where each word lies is appended to `spans`.
    """
    rate = draw.uniform(0.82, 1.22) if changed else 1.0
    parts, at, spans = [], int(draw.uniform(0.05, 0.3) * RATE_HZ), [] if spans is None else spans
    for word in words:
        part = takes(word)
        if changed:
            own = rate * draw.uniform(0.96, 1.04)
            part = F.interpolate(part[None, None], scale_factor=own, mode="linear")[0, 0] * 10 ** draw.uniform(
                -0.2, 0.2
            )
        at += max(-len(part) // 4, int(draw.uniform(-0.06, 0.25) * RATE_HZ)) if parts else 0
        spans.append((at, at + len(part)))
        parts.append(part)
        at += len(part)
    waveform = torch.zeros(at + int(draw.uniform(0.05, 0.3) * RATE_HZ))
    for (begins, ends), part in zip(spans, parts, strict=True):
        waveform[begins:ends] += part
    return waveform


def in_a_room(waveform: Tensor, draw: random.Random, generator: torch.Generator) -> Tensor:
    """An echo that decays, and noise."""
    if draw.random() < 0.4:
        tail = torch.randn(int(draw.uniform(0.05, 0.4) * RATE_HZ), generator=generator)
        tail *= torch.exp(-torch.linspace(0, 6.9, len(tail))) * draw.uniform(0.01, 0.05)
        tail[0] = 1.0
        length = 1 << (len(waveform) + len(tail)).bit_length()  # a power of two: the fast Fourier transform is fast
        product = torch.fft.rfft(waveform, length) * torch.fft.rfft(tail, length)
        waveform = torch.fft.irfft(product, length)[: len(waveform)]
    hiss = _noises()[draw.choice(["white", "pink", "pink"])]
    begin = draw.randrange(len(hiss) - len(waveform))
    level = waveform.square().mean().sqrt()
    return waveform + hiss[begin : begin + len(waveform)] * level * 10 ** (-draw.uniform(8, 42) / 20)


@cache
def _noises() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {kind: noise(kind, 1 << 22, generator) for kind in ("white", "pink")}


def warped(log_mel: Tensor, draw: random.Random) -> Tensor:
    """Formants moved along the mel scale, time stretched without the pitch, a channel's tilt, the top bands gone.

    (Jaitly and Hinton, 2013, "Vocal tract length perturbation (VTLP) improves speech recognition")
    """
    bands, frames = log_mel.shape
    factor, stretch = draw.uniform(0.86, 1.16), draw.uniform(0.75, 1.3)
    rows = (torch.arange(bands) * factor).clamp(max=bands - 1)
    columns = torch.linspace(0, frames - 1, max(8, int(frames * stretch)))
    log_mel = _at(_at(log_mel.T, columns).T, rows)
    ends = torch.tensor([[[draw.uniform(-0.8, 0.8) for _ in range(5)]]])
    log_mel = log_mel + F.interpolate(ends, bands, mode="linear", align_corners=True)[0, 0, :, None]
    if draw.random() < 0.25:
        log_mel[-draw.randint(4, 16) :] = log_mel.amin()
    return log_mel


def _at(rows: Tensor, places: Tensor) -> Tensor:
    """Rows at places between them, by linear interpolation."""
    low = places.long()
    high, share = (low + 1).clamp(max=len(rows) - 1), (places - low)[:, None]
    return rows[low] * (1 - share) + rows[high] * share


def masked(features: Tensor, draw: random.Random) -> Tensor:
    """Bands and frames set to the mean (Park et al., 2019, SpecAugment, arXiv:1904.08779)."""
    for dim, widest, times in ((0, 10, 2), (1, 12, 1 + features.shape[1] // 120)):
        for _ in range(times):
            width = min(draw.randint(0, widest), features.shape[dim] - 1)
            features.narrow(dim, draw.randint(0, features.shape[dim] - width), width).fill_(0)
    return features


def batch(
    voices: Sequence[Voice], size: int, draw: random.Random, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (B, mels, T), their lengths, all labels one after the other, and how many each utterance has."""
    features, labels = [], []
    while len(features) < size:
        words, voice = some_words(draw), draw.choice(voices)
        waveform = composed(words, lambda w: draw.choice(voice[w]), draw, True)  # noqa: B023
        waveform = in_a_room(waveform, draw, generator)
        log_mel = warped(mel_spectrum(waveform, MEL).clamp(min=1e-10).log10(), draw)
        ids = [INDEX[w] for w in words]
        if (log_mel.shape[1] + 3) // 4 > len(ids) + repeats(ids) + 1 and log_mel.shape[1] < 420:
            features.append(masked(normalised(log_mel), draw))
            labels.append(ids)
    lengths = torch.tensor([f.shape[1] for f in features])
    padded = torch.stack([F.pad(f, (0, int(lengths.max()) - f.shape[1])) for f in features])
    return (
        padded,
        lengths,
        torch.tensor([label for one in labels for label in one]),
        torch.tensor([len(one) for one in labels]),
    )
