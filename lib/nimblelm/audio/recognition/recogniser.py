"""The trained recogniser of numbers and spelled words: log-mel, two strided convolutions, conformer blocks, CTC.

Its checkpoint was trained on synthesizers alone, by `training/train_recogniser.py`: every person is a stranger to it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.audio.features.mel_spectrum import MelConfig, mel_spectrum
from nimblelm.audio.recognition.conformer import ConformerBlock
from nimblelm.audio.recognition.vocabulary import VOCABULARY
from nimblelm.nn.attend import full, masked
from nimblelm.nn.checkpoint import load

FOLDER = Path(__file__).parents[2] / "data" / "checkpoints" / "recogniser"
MEL = MelConfig(num_mels=64)
RANGE = 5.0  # powers of ten below the loudest energy of an utterance: 50 dB
FRAME_S = 4 * MEL.hop_length / MEL.sample_rate_hz  # of what the recogniser puts out: 40 ms


@dataclass(frozen=True)
class RecogniserConfig:
    """Shape of the recogniser.

    Raises:
        ValueError: a size below 1, or a dropout outside of 0 .. 1.
    """

    vocab_size: int = len(VOCABULARY)
    num_mels: int = MEL.num_mels
    d_model: int = 96
    num_layers: int = 4
    num_heads: int = 4
    d_ff: int = 192
    kernel_size: int = 11
    dropout: float = 0.0

    def __post_init__(self):
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must be 0 or more and below 1")
        if min(self.vocab_size, self.num_mels, self.d_model, self.num_layers, self.num_heads, self.d_ff) < 1:
            raise ValueError(f"{self} must have sizes of 1 or more")


class Recogniser(nn.Module):
    """Log-probabilities of every label in every 40 ms.

    Args:
        config: the shape.

    Chapter: book/ch16_speech_recognition
    """

    config_class = RecogniserConfig

    def __init__(self, config: RecogniserConfig):
        super().__init__()
        self.config = config
        self.stem = nn.ModuleList(
            nn.Conv1d(channels, config.d_model, 5, stride=2, padding=2)
            for channels in (config.num_mels, config.d_model)
        )
        self.blocks = nn.ModuleList(
            ConformerBlock(config.d_model, config.num_heads, config.d_ff, config.kernel_size, config.dropout)
            for _ in range(config.num_layers)
        )
        self.head = nn.Linear(config.d_model, config.vocab_size)

    def forward(
        self, features: Float[Tensor, "B mels T"], lengths: Int[Tensor, "B"] | None = None
    ) -> Float[Tensor, "B frames V"]:
        """log p(label | sound) of every fourth frame, labels as in `vocabulary`.

        Args:
            features: what `recogniser_features` gives, stacked; padded with 0.
            lengths: frames of each utterance that are not padding; all by default.
        """
        x = features
        for conv in self.stem:
            x = F.silu(conv(x))
        x, attend = x.mT, full
        if lengths is not None:
            visible = torch.arange(x.shape[1], device=x.device) < num_outputs(lengths)[:, None]
            x, attend = x * visible[..., None], masked(visible[:, None, None])
        for block in self.blocks:
            x = block(x, attend)
        return self.head(x).log_softmax(-1)

    def log_probs(self, waveform: Float[Tensor, "samples"]) -> Float[Tensor, "frames V"]:
        """Of one utterance at 16 kHz.

        Raises:
            ValueError: as `recogniser_features`.
        """
        return self(recogniser_features(waveform)[None])[0]


def num_outputs(num_frames: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
    """How many vectors the recogniser puts out for so many frames of 10 ms: a quarter, rounded up."""
    return (num_frames + 3) // 4


def recogniser_features(waveform: Float[Tensor, "samples"]) -> Float[Tensor, "mels T"]:
    """Log-mel spectrum, cut below the loudest value, every band around its mean over the utterance.

    Raises:
        ValueError: less than 201 samples, or not in float32 or float64.

    Chapter: book/ch16_speech_recognition
    """
    return normalised(mel_spectrum(waveform, MEL).clamp(min=1e-10).log10())


def normalised(log_mel: Float[Tensor, "mels T"]) -> Float[Tensor, "mels T"]:
    """Level and channel taken out: nothing is further than `RANGE` below the loudest, and each band's mean leaves."""
    loud = torch.maximum(log_mel, log_mel.amax() - RANGE)
    return loud - loud.mean(-1, keepdim=True)


def load_recogniser() -> Recogniser:
    """The recogniser that has heard synthesizers alone.

    Chapter: book/ch16_speech_recognition
    """
    return load(Recogniser, FOLDER / "recogniser.safetensors")


def training_log() -> dict[str, Any]:
    """What was trained for how long, and what was measured on held-out speakers.

    Chapter: book/ch16_speech_recognition
    """
    return json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
