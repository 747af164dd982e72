"""The parts of chapter 15's training: pitch, noises, the simplest classifier, what is held out."""

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

import sound_activity
import sound_data
import sound_probes
import train_sound


@pytest.mark.parametrize("hz", [90.0, 150.0, 310.0])
def test_the_pitch_of_a_buzz_is_its_fundamental(hz):
    time = torch.arange(8_000) / 16_000
    buzz = sum(torch.sin(2 * math.pi * k * hz * time) / k for k in range(1, 9))
    assert sound_probes.pitch_hz(0.1 * buzz) == pytest.approx(hz, rel=0.02)


@pytest.mark.parametrize("kind", ["white", "pink", "hum", "babble"])
def test_noise_has_one_level(kind):
    talkers = [torch.randn(900, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    made = sound_data.noise(kind, 8_000, torch.Generator().manual_seed(0), talkers)
    assert made.square().mean().sqrt() == pytest.approx(1.0, rel=1e-4)


def test_regression_separates_what_a_plane_separates():
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(3, (200,), generator=generator)
    x = torch.randn(200, 4, generator=generator) + 4 * torch.nn.functional.one_hot(y, 4)
    model = sound_data.logistic(x[:150], y[:150], 3)
    assert (sound_data.predicted(model, x[150:]) == y[150:]).float().mean() > 0.95


def test_what_is_explained_is_one_for_a_line_and_nothing_for_noise():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 3, generator=generator)
    trained = torch.arange(300) < 200
    line = sound_probes.explained(x, 2 * x[:, 0] - x[:, 2], trained)
    assert line["low"] > 0.99
    assert sound_probes.explained(x, torch.randn(300, generator=generator), trained)["share"] < 0.1


def test_words_of_a_scene_are_marked_where_they_are():
    pool = [one for one in sound_activity.clips() if one.speaker == "june"][:5]
    waveform, active = sound_activity.scene(pool, "white", 80.0, torch.Generator().manual_seed(0), [])
    energy = waveform.unfold(0, 160, 160).square().mean(1)
    assert len(energy) == len(active) == 400
    assert energy[~active].mean() < 0.01 * energy[active].mean()


def test_nothing_that_is_tested_is_trained():
    trained, held = train_sound.speaker_sets()
    assert not {s.meaning for s in trained} & {s.meaning for s in held["held-out words"]}
    assert ("allison", "es") not in {(s.speaker, s.language) for s in trained}
    assert not set(sound_data.TRAINED_VOICES) & set(sound_data.UNSEEN_VOICES)


def test_shares_have_wilsons_interval():
    row = train_sound.share(torch.arange(100) < 80)
    assert row["accuracy"] == 0.8
    assert (row["low"], row["high"]) == pytest.approx((0.711, 0.867), abs=0.001)
