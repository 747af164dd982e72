"""Bind spoken words to the pictures of a trained CLIP, whose towers stay frozen; no caption is ever seen.

python training/train_binder.py          (a minute or two of one CPU core, after training/train_clip.py)

Needs espeak-ng and flite, which speak the words. Tested on voices that were never trained: other voices of espeak-ng,
another one of flite, and a person, allison. Sounds and captions are compared then, that were never paired.
"""

import json
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from language_model import track
from nimblelm.data.emoji import STYLES, concepts, pictures
from nimblelm.data.voices import SAMPLE_RATE_HZ, clip, clips, sound
from nimblelm.multimodal.imagebind import imagebind_audio
from nimblelm.multimodal.spoken_words import FOLDER, PICTURES, AudioTower, AudioTowerConfig, pictured
from nimblelm.nn.checkpoint import save
from nimblelm.nn.contrastive import clip_loss
from nimblelm.vision.emoji_clip import UNSEEN_STYLE, load_emoji_clip
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.zero_shot import class_embeddings

SEED = 0
WORK = Path(__file__).parents[1] / "_build/training/spoken_words"
SETTINGS = {"steps": 600, "groups": 4, "rate": 2e-3, "weight_decay": 0.05}
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029")
TRAINED_VARIANTS = ("m1", "m2", "m4", "m5", "m6", "m7", "f1", "f3", "f4", "klatt2")
UNSEEN_VARIANTS = ("m3", "m8", "f2", "f5", "klatt4")
TRAINED_FLITE, UNSEEN_FLITE = ("kal16", "awb", "rms"), ("slt",)
PERSON = "allison"
PROMPTS = ("{}", "a picture of {}", "a drawing of {}")


def words() -> dict[str, str]:
    """meaning -> how it is written in English."""
    found = {one.meaning: one.word for one in clips() if one.language == "en" and one.word and one.speaker == PERSON}
    return {meaning: found.get(meaning) or meaning.split()[1] for meaning in PICTURES}  # "letters plus" has no word


def spoken(command: list[str]) -> Tensor:
    """What a synthesizer writes into a file, at 16 kHz and without silence around it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run([part.replace("FILE", file.name) for part in command], check=True, stdin=subprocess.DEVNULL)
        samples, rate_hz = soundfile.read(file.name, dtype="float32")
    waveform = torchaudio.functional.resample(torch.from_numpy(samples), rate_hz, SAMPLE_RATE_HZ)
    loud = (waveform.abs() > 0.02 * waveform.abs().max()).nonzero()[:, 0]
    return waveform[loud[0] : loud[-1] + 1].clone()


def by_espeak(variants: tuple[str, ...], seed: int) -> list[Tensor]:
    """(words, 128, 204) of each accent in each variant, at a pitch and a speed of its own."""
    generator, found = torch.Generator().manual_seed(seed), []
    for accent in ACCENTS:
        for variant in variants:
            pitch, speed = (int(torch.randint(a, b, (), generator=generator)) for a, b in ((25, 80), (120, 195)))
            command = ["espeak-ng", "-v", f"{accent}+{variant}", "-p", str(pitch), "-s", str(speed), "-w", "FILE"]
            found.append(spectra([spoken([*command, word]) for word in words().values()]))
    return found


def by_flite(voices: tuple[str, ...]) -> list[Tensor]:
    return [
        spectra([spoken(["flite", "-voice", voice, "-t", word, "-o", "FILE"]) for word in words().values()])
        for voice in voices
    ]


def by_person() -> Tensor:
    return spectra([sound(clip(PERSON, "en", meaning), trim=True) for meaning in PICTURES])


def spectra(waveforms: list[Tensor]) -> Tensor:
    return torch.cat([imagebind_audio(one, num_clips=1) for one in waveforms])


def varied(mel: Tensor, generator: torch.Generator) -> Tensor:
    """Spectra slower or faster, later, of a longer or shorter vocal tract, louder, brighter, and noisy."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(mel), *shape, generator=generator)

    zero = torch.zeros(len(mel))
    time_scale, band_scale = uniform(0.8, 1.25), uniform(0.92, 1.08)
    shift = time_scale - 1 - uniform(0.0, 0.1)  # the word still begins at the left
    theta = torch.stack([time_scale, zero, shift, zero, band_scale, uniform(-0.05, 0.05)], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(mel), 1, *mel.shape[1:]], align_corners=False)
    moved = F.grid_sample(mel[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    tilt = torch.linspace(-1, 1, mel.shape[1])[:, None] * uniform(-0.2, 0.2, 1, 1)
    floor = uniform(-1.6, -0.4, 1, 1) + 0.15 * torch.randn(mel.shape, generator=generator)
    return torch.logaddexp(4 * (moved + tilt + uniform(-0.25, 0.25, 1, 1)), 4 * floor) / 4


@torch.inference_mode()
def anchors() -> Tensor:
    """Embeddings (style, words, d) of the pictures in the trained styles, by the frozen picture tower."""
    model, rows = load_emoji_clip(), torch.tensor([pictured(one).index for one in PICTURES])
    trained = [style for style in STYLES if style != UNSEEN_STYLE]
    return torch.stack([model.image_features(normalize(pictures(style)[rows])) for style in trained])


def train(heard: list[Tensor], seen: Tensor) -> tuple[AudioTower, dict[str, Any]]:
    """A batch is several groups, each with every word once: in none is a picture there twice."""
    torch.manual_seed(SEED)
    tower, generator, steps = AudioTower(AudioTowerConfig()), torch.Generator().manual_seed(SEED), SETTINGS["steps"]
    optimizer = torch.optim.AdamW(tower.parameters(), lr=SETTINGS["rate"], weight_decay=SETTINGS["weight_decay"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, SETTINGS["rate"], total_steps=int(steps), pct_start=0.1)
    every, log, began = torch.stack(heard), [], time.process_time()
    recent: list[float] = []
    for step in track(range(int(steps)), "binding"):
        count, groups = len(PICTURES), int(SETTINGS["groups"])
        voices = torch.randint(len(every), (groups, count), generator=generator)
        mel = varied(every[voices, torch.arange(count)].flatten(0, 1), generator)
        styles = torch.randint(len(seen), (groups, count), generator=generator)
        pictures_ = seen[styles, torch.arange(count)]
        loss = torch.stack(
            [
                clip_loss(sounds, drawn, tower.logit_scale.exp())
                for sounds, drawn in zip(tower(mel).chunk(groups), pictures_, strict=True)
            ]
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if (step + 1) % 50 == 0:
            log.append([step + 1, round(sum(recent) / len(recent), 4)])
            print(f"step {step + 1}: loss {log[-1][1]}, {time.process_time() - began:.0f} s", flush=True)
            recent = []
    return tower.eval().requires_grad_(False), {"losses": log, "cpu_s": round(time.process_time() - began, 1)}


class Captions:
    """Embeddings of the captions of the pictured words, and of all concepts, each the mean over several prompts."""

    def __init__(self):
        base = [one.caption for one in concepts() if one.skin_tone is None]
        names = [pictured(one).caption for one in PICTURES]
        with torch.inference_mode():
            self.everything = class_embeddings(load_emoji_clip().text_features, base, PROMPTS)
        self.at = torch.tensor([base.index(name) for name in names])
        self.named = self.everything[self.at]


@torch.inference_mode()
def retrieved(embedded: Tensor, seen: Tensor, captions: Captions) -> dict[str, float]:
    """Sounds (N, d) of all words, in order: which picture, which caption is nearest, and for a caption which sound?"""
    own = torch.arange(len(embedded))

    def share(scores: Tensor, right: Tensor, top: int = 1) -> float:
        return round((scores.topk(top).indices == right[:, None]).any(1).float().mean().item(), 4)

    return {
        "sound to picture": share(embedded @ seen.mean(0).T, own),
        "sound to caption": share(embedded @ captions.named.T, own),
        "sound to caption, top 5": share(embedded @ captions.named.T, own, 5),
        "caption to sound": share(captions.named @ embedded.T, own),
        "sound to caption of all": share(embedded @ captions.everything.T, captions.at),
        "sound to caption of all, top 5": share(embedded @ captions.everything.T, captions.at, 5),
        "picture to caption": share(seen.mean(0) @ captions.named.T, own),
    }


def tests(tower: AudioTower, unseen: dict[str, list[Tensor]], seen: Tensor, captions: Captions) -> dict[str, Any]:
    """Mean over the voices of each kind."""
    found = {}
    for kind, voices in unseen.items():
        every = [retrieved(tower(mel), seen, captions) for mel in voices]
        found[kind] = {name: round(sum(one[name] for one in every) / len(every), 4) for name in every[0]}
        found[kind]["sounds"] = len(voices) * len(PICTURES)
    return found


def heard_by(trained: list[Tensor], unseen: dict[str, list[Tensor]]) -> dict[str, float]:
    """A baseline that needs words for its training sounds: the nearest trained spectrum, aligned at its start."""
    known = torch.stack(trained).flatten(2)  # (voice, word, features)
    found = {}
    for kind, voices in unseen.items():
        right = []
        for mel in voices:
            nearest = torch.cdist(mel.flatten(1), known.flatten(0, 1)).argmin(1) % len(PICTURES)
            right.append((nearest == torch.arange(len(PICTURES))).float().mean().item())
        found[kind] = round(sum(right) / len(right), 4)
    return found


def main() -> None:
    torch.set_num_threads(1)
    WORK.mkdir(parents=True, exist_ok=True)
    stored = WORK / "spoken.pt"
    if not stored.exists():
        trained = by_espeak(TRAINED_VARIANTS, SEED) + by_flite(TRAINED_FLITE)
        unseen = {"other voices": by_espeak(UNSEEN_VARIANTS, SEED + 1), "another synthesizer": by_flite(UNSEEN_FLITE)}
        torch.save((trained, unseen | {"a person": [by_person()]}), stored)
    trained, unseen = torch.load(stored, weights_only=True)
    seen, captions = anchors(), Captions()
    torch.manual_seed(SEED)
    untrained = AudioTower(AudioTowerConfig()).eval().requires_grad_(False)
    tower, log = train(trained, seen)
    report = {
        "made_by": "training/train_binder.py",
        "seed": SEED,
        "settings": SETTINGS,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "words": words(),
        "voices": len(trained),
        "parameters": sum(weight.numel() for weight in tower.parameters()),
        "training": log,
        "scores": tests(tower, unseen, seen, captions),
        "untrained": tests(untrained, unseen, seen, captions),
        "nearest trained spectrum": heard_by(trained, unseen),
        "chance": round(1 / len(PICTURES), 4),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    save(tower.to(torch.bfloat16), FOLDER / "audio_tower.safetensors")
    (FOLDER / "log.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["scores"], indent=1))


if __name__ == "__main__":
    main()
