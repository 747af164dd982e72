"""CLIP on the picture set: a residual network and a small text tower, and the checkpoint that was trained here.

`training/train_clip.py` made the checkpoint.
"""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.data.emoji import Concept, concepts
from nimblelm.data.emoji.splits import held_out_composition, held_out_concept
from nimblelm.nn.attend import recorded
from nimblelm.nn.checkpoint import load
from nimblelm.nn.encoder_block import EncoderBlock
from nimblelm.vision.resnet import ResNet, ResNetConfig

FOLDER = Path(__file__).parents[1] / "data" / "checkpoints" / "emoji_clip"
UNSEEN_STYLE = "twemoji"  # no picture of it was trained
TEMPLATES = (
    "{}",
    "a picture of {}",
    "a drawing of {}",
    "an icon of {}",
    "a small drawing of {}",
    "an emoji that shows {}",
)
GRAM_LENGTHS = (3, 4)  # letters of the pieces of a word


def trained_concept(one: Concept) -> bool:
    """Whether pictures and captions of a concept are trained on: neither it nor its composition is held out."""
    return not held_out_concept(one) and not held_out_composition(one)


def people() -> list[Concept]:
    """Everybody that is drawn as a man, as a woman and as a person, without skin tones: what compositions are among."""
    return [one for one in concepts() if one.gender and one.role and one.skin_tone is None]


@dataclass(frozen=True)
class EmojiCLIPConfig:
    """Shape of the two towers.

    Raises:
        ValueError: there are fewer than 2 buckets.
    """

    image: ResNetConfig = field(
        default_factory=lambda: ResNetConfig(16, (16, 32, 96, 160), (1, 1, 1, 1), small_images=True, num_classes=128)
    )  # its classes are the entries of the embedding
    num_buckets: int = 4096  # rows of the table that words and their pieces are hashed to; row 0 is padding
    d_text: int = 96
    num_heads: int = 4
    max_words: int = 16

    def __post_init__(self):
        if self.num_buckets < 2:
            raise ValueError(f"num_buckets {self.num_buckets} is below 2")


class EmojiCLIP(nn.Module):
    """Pictures of 32 x 32 and captions in one space.

    The text tower has no vocabulary: a word is the mean of the vectors that it and its pieces of three and four letters
    are hashed to (Bojanowski et al., 2017, arXiv:1607.04606, section 3.2), so it reads words that were never trained.

    Args:
        config: the shape.
    """

    config_class = EmojiCLIPConfig

    def __init__(self, config: EmojiCLIPConfig):
        super().__init__()
        self.config = config
        self.image_tower = ResNet(config.image)
        self.pieces = nn.Embedding(config.num_buckets, config.d_text, padding_idx=0)
        self.positions = nn.Parameter(0.02 * torch.randn(config.max_words, config.d_text))
        self.block = EncoderBlock(config.d_text, config.num_heads, 2 * config.d_text, 1e-5)
        self.norm = nn.LayerNorm(config.d_text)
        self.text_projection = nn.Linear(config.d_text, config.image.num_classes, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def image_features(self, images: Float[Tensor, "B 3 height width"]) -> Float[Tensor, "B d"]:
        """Embeddings of length 1 of normalised pictures."""
        return F.normalize(self.image_tower(images), dim=1)

    def text_features(self, captions: Sequence[str]) -> Float[Tensor, "B d"]:
        """Embeddings of length 1 of captions.

        Raises:
            ValueError: a caption has no word.
        """
        return self.features_of_ids(piece_ids(captions, self.config.num_buckets, self.config.max_words))

    def features_of_ids(self, ids: Int[Tensor, "B T G"]) -> Float[Tensor, "B d"]:
        """`text_features` from what `piece_ids` makes of the captions; 0 is padding."""
        ids = ids.to(self.positions.device)
        there = ids[:, :, 0] > 0  # (B, T)
        count = (ids > 0).sum(2).clamp(min=1)
        x = self.pieces(ids).sum(2) / count[..., None] + self.positions[: ids.shape[1]]
        x = self.block(
            x, recorded([], there[:, None, None, :])
        )  # not the fused kernel: its backward is slow in bfloat16
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        return F.normalize(self.text_projection(self.norm(mean)), dim=1)


def piece_ids(captions: Sequence[str], num_buckets: int, max_words: int) -> Int[Tensor, "B T G"]:
    """Buckets of every word and of its pieces, words beyond `max_words` left out; 0 where there is none.

    Raises:
        ValueError: a caption has no word.
    """
    words = [re.findall(r"[a-z0-9]+", caption.lower())[:max_words] for caption in captions]
    if empty := [caption for caption, found in zip(captions, words, strict=True) if not found]:
        raise ValueError(f"no word in the caption {empty[0]!r}")
    rows = [[_buckets(word, num_buckets) for word in found] for found in words]
    longest, most = max(map(len, rows)), max(len(pieces) for row in rows for pieces in row)
    ids = torch.zeros(len(rows), longest, most, dtype=torch.long)
    for b, row in enumerate(rows):
        for t, pieces in enumerate(row):
            ids[b, t, : len(pieces)] = torch.tensor(pieces)
    return ids


def _buckets(word: str, num_buckets: int) -> list[int]:
    marked = f"<{word}>"
    grams = {marked[i : i + n] for n in GRAM_LENGTHS for i in range(len(marked) - n + 1)} - {marked}
    return [1 + zlib.crc32(piece.encode()) % (num_buckets - 1) for piece in (f"={word}", *sorted(grams))]


def load_emoji_clip() -> EmojiCLIP:
    """The model that was trained in all styles but `UNSEEN_STYLE`."""
    return load(EmojiCLIP, FOLDER / "emoji_clip.safetensors")


def training_log() -> dict[str, Any]:
    """What was trained for how long, and how well it and its baselines do on what was held out."""
    return json.loads((FOLDER / "log.json").read_text(encoding="utf-8"))
