"""Spoken words bound to frozen pictures: a third tower beside CLIP on the picture set.

Its checkpoint was trained on sounds and pictures alone, by `training/train_binder.py`.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.data.emoji import Concept, concept
from nimblelm.multimodal.imagebind import NUM_MELS, imagebind_audio
from nimblelm.nn.checkpoint import load

FOLDER = Path(__file__).parents[1] / "data" / "checkpoints" / "spoken_words"
PICTURES = {  # what is said in English -> what is drawn
    **{f"number {n}": f"keycap-{n}" for n in range(11)},
    "number 11": "eleven-oclock",
    "number 12": "twelve-oclock",
    "digits hundred": "hundred-points",
    "digits h-1": "1st-place-medal",
    "digits h-2": "2nd-place-medal",
    "digits h-3": "3rd-place-medal",
    "digits star": "star",
    "digits dollars": "dollar-banknote",
    "digits minus": "minus",
    "letters plus": "plus",
    "phonetic g_p": "person-golfing",
    "phonetic h_p": "hotel",
    "phonetic m_p": "microphone",
    "phonetic w_p": "tumbler-glass",
    "phonetic x_p": "x-ray",
}


def pictured(meaning: str) -> Concept:
    """What is drawn where that is said.

    Raises:
        ValueError: there is no picture of it; the message has what there is.
    """
    if meaning not in PICTURES:
        raise ValueError(f"nothing is drawn for {meaning!r}, only for {', '.join(PICTURES)}")
    return concept(PICTURES[meaning])


@dataclass(frozen=True)
class AudioTowerConfig:
    """Shape of the tower.

    Raises:
        ValueError: a width or the kernel is below 1.
    """

    widths: tuple[int, ...] = (64, 96, 128)  # of convolutions over time, each at half the resolution
    kernel_size: int = 5
    embedding_dim: int = 128

    def __post_init__(self):
        if min(*self.widths, self.kernel_size, self.embedding_dim) < 1:
            raise ValueError(f"{self} must have sizes of 1 or more")


class AudioTower(nn.Module):
    """The embedding of a sound: convolutions over time, then the mean and the maximum over it.

    Args:
        config: the shape.

    Chapter: book/ch09_contrastive_learning
    """

    config_class = AudioTowerConfig

    def __init__(self, config: AudioTowerConfig):
        super().__init__()
        self.config = config
        sizes = (NUM_MELS, *config.widths)
        self.convs = nn.ModuleList(
            nn.Conv1d(inputs, outputs, config.kernel_size, 2, config.kernel_size // 2)
            for inputs, outputs in pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in config.widths)
        self.projection = nn.Linear(2 * sizes[-1], config.embedding_dim)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def forward(self, mel: Float[Tensor, "B 128 frames"]) -> Float[Tensor, "B e"]:
        """Embeddings of length 1 of what `imagebind_audio` gives."""
        x = mel
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return F.normalize(self.projection(torch.cat([x.mean(2), x.amax(2)], dim=1)), dim=1)

    def audio_features(self, waveform: Float[Tensor, "samples"]) -> Float[Tensor, "e"]:
        """The embedding of one word at 16 kHz.

        Raises:
            ValueError: as `imagebind_audio`.
        """
        return self(imagebind_audio(waveform, num_clips=1))[0]


def load_audio_tower() -> AudioTower:
    """The tower that was bound to the pictures of `load_emoji_clip()`."""
    return load(AudioTower, FOLDER / "audio_tower.safetensors")


def training_log() -> dict[str, Any]:
    """What was trained for how long, and what is retrieved by it."""
    return json.loads((FOLDER / "log.json").read_text(encoding="utf-8"))
