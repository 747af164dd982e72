"""What the trained recogniser can write: number words and letters, index 0 the blank."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.data.number_words import ENGLISH, ENGLISH_TENS

BLANK = 0
NUMBER_WORDS = (*ENGLISH, *ENGLISH_TENS, "hundred", "thousand")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
VOCABULARY = ("", *NUMBER_WORDS, *LETTERS)
INDEX = {word: index for index, word in enumerate(VOCABULARY)}


def words_of(labels: Sequence[int]) -> list[str]:
    """The words of labels without blanks.

    Raises:
        ValueError: a label is outside of 0 .. 56, the size of the vocabulary.

    Chapter: book/ch16_speech_recognition
    """
    if wrong := [label for label in labels if not 0 <= label < len(VOCABULARY)]:
        raise ValueError(f"label {wrong[0]} is outside of 0 .. {len(VOCABULARY) - 1}")
    return [VOCABULARY[label] for label in labels if label != BLANK]


def meaning_of(word: str) -> str:
    """What the voice set calls a word: "seven" is "number 7", "q" is "letter q".

    Raises:
        ValueError: the recogniser does not know the word.

    Chapter: book/ch16_speech_recognition
    """
    if word not in INDEX or not word:
        raise ValueError(f"{word!r} is neither a number word nor a letter")
    if word in LETTERS:
        return f"letter {word}"
    if word == "hundred":
        return "digits hundred"
    at = NUMBER_WORDS.index(word)
    return f"number {1000 if word == 'thousand' else at if at < 20 else 10 * (at - 18)}"


def restricted(log_probs: Float[Tensor, "*batch V"], words: Sequence[str]) -> Float[Tensor, "*batch V"]:
    """Log-probabilities when only some words can be said, numbers alone or letters alone: the rest goes to those.

    Args:
        log_probs: of a recogniser with this vocabulary.
        words: that can be said; the blank always can.

    Raises:
        ValueError: another vocabulary, half precision, or a word that is not in it.

    Chapter: book/ch16_speech_recognition
    """
    if log_probs.shape[-1] != len(VOCABULARY) or log_probs.dtype not in (torch.float32, torch.float64):
        shape = tuple(log_probs.shape)
        raise ValueError(f"log_probs {shape} in {log_probs.dtype}: float32 over {len(VOCABULARY)} labels is needed")
    if unknown := [word for word in words if word not in INDEX]:
        raise ValueError(f"the recogniser does not know {unknown[0]!r}")
    others = torch.ones(len(VOCABULARY), dtype=torch.bool)
    others[[BLANK, *(INDEX[word] for word in words)]] = False
    return log_probs.masked_fill(others, -math.inf).log_softmax(-1)
