"""The committed models of chapter 15 give what its tables say."""

import json
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import nimblelm
from nimblelm.audio.ast import AST
from nimblelm.audio.features.kaldi import kaldi_fbank
from nimblelm.audio.frame_classifier import FrameClassifier
from nimblelm.data.voices import RECORDED, clips, sound
from nimblelm.data.voices.splits import held_out_word
from nimblelm.nn.checkpoint import load

FOLDER = Path(nimblelm.__file__).parent / "data/checkpoints/sound"
RESULTS = json.loads((FOLDER / "results.json").read_text())
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

from sound_activity import features, scenes  # noqa: E402


def in_the_middle(waveform: torch.Tensor) -> torch.Tensor:
    """The bank that the models were tested on: one level, a second of frames."""
    level = waveform * (0.05 / waveform.square().mean().sqrt())
    start = max(0, (16_240 - len(level)) // 2)
    part = level[: 16_240 - start]
    return (kaldi_fbank(F.pad(part, (start, 16_240 - start - len(part))), 64, "hann") + 6.0) / 8.0


@torch.inference_mode()
def accuracy(model: AST, what: str, names: tuple[str, ...], chosen: list) -> float:
    banks = torch.stack([in_the_middle(sound(one, trim=True)) for one in chosen])
    labels = torch.tensor([names.index(getattr(one, what)) for one in chosen])
    return (model(banks).argmax(-1) == labels).float().mean().item()


def test_the_speaker_model_gives_the_committed_accuracy():
    model = load(AST, FOLDER / "speaker.safetensors")
    people = [c for c in clips() if c.speaker in RECORDED]
    spanish = [c for c in people if c.language == "es"]
    words = [c for c in people if c.language != "es" and held_out_word(c)]
    committed = RESULTS["speaker"]["AST"]
    assert accuracy(model, "speaker", RECORDED, words) == pytest.approx(
        committed["held-out words"]["accuracy"], abs=0.01
    )
    assert accuracy(model, "speaker", RECORDED, spanish) == pytest.approx(committed["Spanish"]["accuracy"], abs=0.01)


def test_the_trap_is_as_the_page_says():
    """One speaker a language: the mean spectrum knows nearly all, and nothing of voices that it never heard."""
    trap, honest = RESULTS["language, trained on people"], RESULTS["language, trained on voices"]
    seen, unseen = "same people, new words", "unseen voices, new words"
    assert trap["mean spectrum"][seen]["low"] > 0.9
    assert trap["mean spectrum"][unseen]["low"] < 0.3
    assert honest["voting frames"][unseen]["low"] > honest["mean spectrum"][unseen]["accuracy"]
    assert honest["voting frames"][unseen]["low"] > trap["AST"][unseen]["high"]
    model = load(AST, FOLDER / "language_people.safetensors")
    words = [c for c in clips() if c.speaker in RECORDED and held_out_word(c)]
    languages = ("en", "es", "fr", "it", "ru")
    assert accuracy(model, "language", languages, words) == pytest.approx(trap["AST"][seen]["accuracy"], abs=0.01)


@torch.inference_mode()
def test_the_detector_beats_energy_on_a_person_it_never_heard():
    rows = {name: row for name, row in RESULTS["voice activity"].items() if name.endswith("dB")}
    assert len(rows) == 16
    assert all(row["classifier"]["error"] < row["energy"]["error"] for row in rows.values())
    model = load(FrameClassifier, FOLDER / "activity.safetensors")
    made = scenes("allison", ("pink",), 15, 10.0, 10)
    errors = [((model(features(w)[None])[0, 0] > 0) != wanted).float().mean() for w, wanted in made]
    assert torch.stack(errors).mean().item() == pytest.approx(rows["pink 10 dB"]["classifier"]["error"], abs=0.04)
