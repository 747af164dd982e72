"""The picture set as a classification task, and the models that were trained on it.

Thirteen categories, three drawing styles to learn from; a fourth style and a seventh of the concepts to be tested on.
`training/train_vit.py` made the checkpoints.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.data.emoji import STYLES, Concept, concepts, pictures
from nimblelm.data.emoji.splits import held_out_concept
from nimblelm.nn.checkpoint import load
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.resnet import ResNet
from nimblelm.vision.vit import ViT

CATEGORIES = (
    "animal",
    "clothing",
    "face",
    "food",
    "game",
    "hand",
    "letter",
    "object",
    "person",
    "place",
    "sign",
    "sky",
    "vehicle",
)  # those of 40 concepts or more
UNSEEN_STYLE = "openmoji"  # black outlines, flat: the least like the others
TRAINED_STYLES = tuple(style for style in STYLES if style != UNSEEN_STYLE)
FOLDER = Path(__file__).parents[1] / "data" / "checkpoints" / "emoji_vision"


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures, normalised, with the number of each one's category, and what each shows."""

    images: Float[Tensor, "N 3 32 32"]
    labels: Int[Tensor, "N"]
    shown: tuple[Concept, ...]


def labelled_pictures(
    styles: tuple[str, ...] = TRAINED_STYLES, choose: Callable[[Concept], bool] = lambda one: not held_out_concept(one)
) -> LabelledPictures:
    """Every chosen concept of the thirteen categories, without its skin tones, in each style.

    Args:
        styles: of `nimblelm.data.emoji.STYLES`, one after the other.
        choose: which concepts; those that are trained on by default. `held_out_concept` gives the others.

    Raises:
        ValueError: no such style.

    Chapter: book/ch08_vision_transformer
    """
    shown = tuple(one for one in concepts() if one.skin_tone is None and one.category in CATEGORIES and choose(one))
    rows = torch.tensor([one.index for one in shown])
    images = torch.cat([normalize(pictures(style)[rows]) for style in styles])
    labels = torch.tensor([CATEGORIES.index(one.category) for one in shown]).repeat(len(styles))
    return LabelledPictures(images, labels, shown * len(styles))


def load_vit() -> ViT:
    """The vision transformer that names the category of a picture of 32 x 32."""
    return load(ViT, FOLDER / "vit.safetensors")


def load_resnet() -> ResNet:
    """The residual network that names the category of a picture of 32 x 32."""
    return load(ResNet, FOLDER / "resnet.safetensors")


def load_scene_vit() -> ViT:
    """That transformer with interpolated positions, trained on to tell which categories a scene of 64 x 64 shows."""
    return load(ViT, FOLDER / "scene_vit.safetensors")


def training_log() -> dict[str, Any]:
    """What was trained for how long, and how well it does on what was held out."""
    return json.loads((FOLDER / "log.json").read_text(encoding="utf-8"))
