"""A small transformer as a language model of a recogniser, asked prefix by prefix."""

from collections.abc import Sequence
from pathlib import Path

import torch

from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import load

FOLDER = Path(__file__).parents[2] / "data" / "checkpoints" / "recogniser"


class NeuralModel:
    """Log-probabilities of the next label after any prefix; answers are kept: prefixes of a beam share theirs.

    Args:
        model: over the recogniser's labels, in which label 0 begins and ends a sentence.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, model: Llama):
        self.model = model
        self._known: dict[tuple[int, ...], list[float]] = {}

    @torch.inference_mode()
    def __call__(self, labels: tuple[int, ...]) -> Sequence[float]:
        """log p of every next label, at 0 that of the end."""
        if labels not in self._known:
            logits = self.model(torch.tensor([[0, *labels]]))[0, -1]
            self._known[labels] = logits.log_softmax(-1).tolist()
        return self._known[labels]


def load_letter_model() -> NeuralModel:
    """The transformer that was trained on how words are spelled, by `training/recogniser_language.py`.

    Chapter: book/ch16_speech_recognition
    """
    return NeuralModel(load(Llama, FOLDER / "letters.safetensors"))
