"""The committed classifiers: nothing of the test was trained, and they do as well as their log says."""

import json

import pytest
import torch

from nimblelm.data.emoji.splits import held_out_concept
from nimblelm.vision.emoji_models import (
    CATEGORIES,
    TRAINED_STYLES,
    UNSEEN_STYLE,
    labelled_pictures,
    load_resnet,
    load_scene_vit,
    load_vit,
    training_log,
)

TEST = "new concepts, unseen style"


def test_what_is_tested_is_not_trained():
    train, test = labelled_pictures(), labelled_pictures((UNSEEN_STYLE,), held_out_concept)
    assert not {one.name for one in train.shown} & {one.name for one in test.shown}
    assert UNSEEN_STYLE not in TRAINED_STYLES
    for data in (train, test):
        assert len(data.images) == len(data.labels) == len(data.shown)
        assert [CATEGORIES[label] for label in data.labels.tolist()] == [one.category for one in data.shown]
        assert not any(one.skin_tone for one in data.shown)


@pytest.mark.parametrize(("name", "load"), [("vit", load_vit), ("resnet", load_resnet)])
def test_a_classifier_does_on_held_out_pictures_as_its_log_says(name, load):
    test = labelled_pictures((UNSEEN_STYLE,), held_out_concept)
    with torch.no_grad():
        right = (load()(test.images).argmax(1) == test.labels).float().mean().item()
    (model,) = [one for one in training_log()["models"] if one["model"] == name]
    (row,) = [r for r in model["fine_tuning"] if (r["start"], r["per_category"]) == ("pretrained", "all")]
    assert abs(right - row["scores"][TEST]["accuracy"]) < 0.03  # int8 and bfloat16 cost next to nothing
    (majority,) = [
        one for one in training_log()["baselines"] if (one["model"], one["per_category"]) == ("majority", "all")
    ]
    assert right > 2 * majority["scores"][TEST]["accuracy"]


def test_the_scene_model_reads_64_pixels_and_beats_frequency_on_new_things():
    model = load_scene_vit()
    assert model.config.image_size == 64
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, len(CATEGORIES))
    scored = training_log()["scenes"]["scores"]["new concepts, trained styles"]
    assert scored["average_precision"] > scored["by_frequency"]


def test_the_log_is_json_without_weights():
    assert len(json.dumps(training_log())) < 60_000
