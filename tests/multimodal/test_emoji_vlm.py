"""The trained model sees: held-out scenes, several questions in one pass, and its log."""

import pytest
import torch

from nimblelm.data.emoji.scenes import draw_scene
from nimblelm.language.llama import LlamaConfig
from nimblelm.multimodal.emoji_vlm import (
    CONNECTORS,
    EmojiVLM,
    EmojiVLMConfig,
    answer,
    clocks,
    first_words,
    load_emoji_vlm,
    load_tower,
    load_words,
    pool,
    scene_features,
    training_log,
)


@pytest.fixture(scope="module")
def seen():
    generator = torch.Generator().manual_seed(5)
    scenes = [draw_scene(pool(), "noto", generator) for _ in range(12)]
    return scenes, scene_features(load_tower(), torch.stack([one.picture for one in scenes]))


def test_it_says_what_is_there(seen):
    scenes, features = seen
    model, words = load_emoji_vlm(), load_words()
    right = 0
    for scene, own in zip(scenes, features, strict=True):
        there = scene.placed[0].concept.caption
        absent = next(one.caption for one in pool() if one.caption not in scene.caption)
        asked = [f"is there a {there} ?", f"is there a {absent} ?"]
        said = first_words(model, words, own[None], asked)[0].argmax(1).tolist()
        right += (words.words[said[0]] == "yes") + (words.words[said[1]] == "no")
    assert right >= 20


def test_questions_in_one_pass_are_answered_as_alone(seen):
    model, words, features = load_emoji_vlm(), load_words(), seen[1][:2]
    asked = ["how many of cat ?", "is there a pizza ?", "what is above the owl ?"]
    together = first_words(model, words, features, asked)
    for i in range(2):
        for question, chances in zip(asked, together[i], strict=True):
            _, alone = answer(model, words, features[i : i + 1], question, max_words=1)
            torch.testing.assert_close(alone[0], chances, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="no question"):
        first_words(model, words, features, [])


def test_its_log_holds_every_connector_and_what_knows_less():
    log = training_log()
    held = log["stored"]["held-out pairs"]
    blind = log["runs"]["question only"]["scores"]["held-out pairs"]
    for kind in ("what", "count", "exists", "clock"):
        assert held[kind][0] / held[kind][1] > blind[kind][0] / blind[kind][1]
    assert {"linear", "mlp", "yi_vl", "molmo", "qformer", "fromage", "names only"} <= log["runs"].keys()
    assert len(pool()) == 40
    assert len(clocks()) == 24


def test_each_connector_makes_its_number_of_tokens():
    shape = LlamaConfig(12, 8, num_layers=1, num_heads=2, num_kv_heads=1, d_ff=6, max_seq_len=96)
    for name in CONNECTORS:
        if name == "qformer":
            shape_of = LlamaConfig(12, 16, num_layers=1, num_heads=2, num_kv_heads=1, d_ff=6, max_seq_len=96)
            model = EmojiVLM(EmojiVLMConfig(shape_of, name))
        else:
            model = EmojiVLM(EmojiVLMConfig(shape, name))
        assert model.see(torch.randn(2, 64, 256)).shape[:2] == (2, 1 if name == "fromage" else 16)
    with pytest.raises(ValueError, match="'mlp3'"):
        EmojiVLMConfig(shape, "mlp3")
