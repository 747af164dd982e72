"""Spoken words bound to pictures: the checkpoint retrieves what its log says, from a person who was never heard."""

import pytest
import torch

from nimblelm.data.voices import clip, sound
from nimblelm.multimodal.spoken_words import (
    PICTURES,
    AudioTower,
    AudioTowerConfig,
    load_audio_tower,
    pictured,
    training_log,
)
from nimblelm.vision.emoji_clip import load_emoji_clip


@torch.no_grad()
def test_a_person_who_was_never_heard_finds_captions_that_were_never_paired():
    tower, model = load_audio_tower(), load_emoji_clip()
    heard = torch.stack([tower.audio_features(sound(clip("allison", "en", one), trim=True)) for one in PICTURES])
    prompts = ("{}", "a picture of {}", "a drawing of {}")
    captions = sum(
        model.text_features([prompt.format(pictured(one).caption) for one in PICTURES]) for prompt in prompts
    )
    right = (
        (heard @ torch.nn.functional.normalize(captions, dim=1).T).argmax(1) == torch.arange(len(PICTURES))
    ).float()
    log = training_log()
    assert right.mean().item() == pytest.approx(log["scores"]["a person"]["sound to caption"], abs=0.05)
    assert right.mean().item() > 4 * log["chance"]


@torch.no_grad()
def test_a_sound_of_any_length_has_an_embedding_of_length_1():
    torch.manual_seed(0)
    tower = AudioTower(AudioTowerConfig((8, 10), 3, 6)).eval()
    for samples in (4_000, 32_000, 50_000):
        assert tower.audio_features(0.1 * torch.randn(samples)).norm().item() == pytest.approx(1, abs=1e-5)


def test_what_is_not_drawn_and_what_has_no_size_is_refused():
    assert pictured("number 7").name == "keycap-7"
    with pytest.raises(ValueError, match="'month 3', only for number 0"):
        pictured("month 3")
    with pytest.raises(ValueError, match="sizes of 1 or more"):
        AudioTowerConfig(widths=(4, 0))
