"""Voice activity for `train_sound.py`: words at known places in noise, a detector, and the two that it must beat."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from language_model import Optimizer, run
from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum
from nimblelm.audio.features.voice_activity import held, louder_than_noise
from nimblelm.audio.frame_classifier import FrameClassifier
from nimblelm.data.voices import RECORDED, Clip, clips, sound
from nimblelm.data.voices.splits import HELD_OUT_SPEAKERS
from nimblelm.nn.checkpoint import save
from sound_data import RATE_HZ, levelled, noise

CONFIG = MelConfig(num_mels=40, hop_length=160)
SECONDS, WORDS = 4, 3
TRAINED_NOISES, UNSEEN_NOISES = ("white", "hum", "babble"), ("pink",)


def scene(
    pool: list[Clip], kind: str, snr_db: float, generator: torch.Generator, talkers: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """(waveform, whether each frame's centre lies in a word): three words with pauses, in noise."""
    total = SECONDS * RATE_HZ
    waveform, active = torch.zeros(total), torch.zeros(total, dtype=torch.bool)
    slot = total // WORDS
    for k in range(WORDS):
        word = levelled(sound(pool[int(torch.randint(len(pool), (), generator=generator))], trim=True))[:slot]
        begin = k * slot + int(torch.randint(slot - len(word) + 1, (), generator=generator))
        waveform[begin : begin + len(word)] += word
        active[begin : begin + len(word)] = True
    hiss = noise(kind, total, generator, talkers) * 0.05 * 10 ** (-snr_db / 20)
    return waveform + hiss, active[:: CONFIG.hop_length]


def features(waveform: Tensor) -> Tensor:
    """Log-mel above the noise floor of its band, (num_mels, T); T as many as labels.

    Minus the scene's mean instead of each band's floor, a noise of another colour was all speech (error .44).
    """
    log = compressed(mel_spectrum(waveform, CONFIG), "ln", 1e-8)[..., : SECONDS * 100]
    return (log - log.quantile(0.1, dim=-1, keepdim=True)) / 3


def train_activity(model: FrameClassifier, optimizer: Optimizer, steps: int, seed: int, folder: Path) -> None:
    """On four people and synthesizers, none of them held out, in three kinds of noise at -5 to 25 dB."""
    generator = torch.Generator().manual_seed(seed)
    pool = [one for one in clips() if one.speaker not in HELD_OUT_SPEAKERS]
    talkers = [sound(one, trim=True) for one in pool[::7]]
    tests = scenes("allison", (*TRAINED_NOISES, *UNSEEN_NOISES), seed, 5.0, 12)

    def loss_at(step: int) -> Tensor:
        made = []
        for _ in range(8):
            draw = torch.rand(2, generator=generator).tolist()
            kind = TRAINED_NOISES[int(draw[0] * len(TRAINED_NOISES))]
            made.append(scene(pool, kind, 30 * draw[1] - 5, generator, talkers))
        waveforms, wanted = (torch.stack(part) for part in zip(*made, strict=True))
        logits = model(torch.stack([features(w) for w in waveforms]))[:, 0]
        return F.binary_cross_entropy_with_logits(logits, wanted.float())

    def evaluate() -> dict[str, float]:
        with torch.inference_mode():
            errors = [((model(features(w)[None])[0, 0] > 0) != want).float().mean() for w, want in tests]
        return {"held_out_frame_error": torch.stack(errors).mean().item()}

    run(model, optimizer, loss_at, evaluate, steps, generator, folder / "activity")
    save(model, folder / "activity.safetensors")


def scenes(speaker: str, kinds: tuple[str, ...], seed: int, snr_db: float, count: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed + 99)
    pool = [one for one in clips() if one.speaker == speaker]
    talkers = [sound(one, trim=True) for one in clips() if one.speaker in RECORDED and one.speaker != speaker][::7]
    return [scene(pool, kinds[i % len(kinds)], snr_db, generator, talkers) for i in range(count)]


@torch.inference_mode()
def activity_table(model: FrameClassifier, seed: int, count: int = 40) -> dict[str, dict]:
    """Share of wrong frames by noise and level, a person who was never heard: always, energy, and the classifier.

    The interval is a bootstrap over scenes. The energy detector's margin is the best on the trained speakers' scenes.
    """
    fitted = [s for kind in TRAINED_NOISES for s in scenes("june", (kind,), seed + 1, 10.0, 12)]
    margins = torch.arange(1.0, 15.0)
    margin = float(min(margins, key=lambda m: _errors(fitted, lambda w: _energy(w, float(m))).mean()))
    table: dict[str, dict] = {"energy margin": {"db": margin}}
    for kind in (*TRAINED_NOISES, *UNSEEN_NOISES):
        for snr_db in (20.0, 10.0, 5.0, 0.0):
            made = scenes("allison", (kind,), seed, snr_db, count)
            ways = {
                "always speech": lambda w: torch.ones(SECONDS * 100, dtype=torch.bool),
                "energy": lambda w: _energy(w, margin),
                "classifier": lambda w: model(features(w)[None])[0, 0] > 0,
            }
            table[f"{kind} {snr_db:.0f} dB"] = {name: _interval(_errors(made, way)) for name, way in ways.items()}
    return table


def _energy(waveform: Tensor, margin_db: float) -> Tensor:
    level = compressed(mel_spectrum(waveform, CONFIG).sum(-2, keepdim=True), "decibel")[0, : SECONDS * 100]
    return held(louder_than_noise(level, margin_db), 8)


def _errors(made: list[tuple[Tensor, Tensor]], way) -> Tensor:
    return torch.stack([(way(waveform) != wanted).float().mean() for waveform, wanted in made])


def _interval(errors: Tensor) -> dict[str, float]:
    drawn = errors[torch.randint(len(errors), (1000, len(errors)), generator=torch.Generator().manual_seed(0))].mean(1)
    low, high = drawn.quantile(torch.tensor([0.025, 0.975])).tolist()
    return {"error": round(errors.mean().item(), 4), "low": round(low, 4), "high": round(high, 4)}
