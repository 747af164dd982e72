"""What Whisper's decoder may write next: the prompt of special tokens, and the grammar of its timestamps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SECONDS_PER_TIMESTAMP = 0.02


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of one tokenizer; the defaults are those of the multilingual models, 99 languages.

    Everything below `end` is text; everything from `first_timestamp` on a time, 0.02 s apart.

    Raises:
        ValueError: the ids are not in the tokenizer's order.
    """

    end: int = 50_257  # <|endoftext|>
    start: int = 50_258  # <|startoftranscript|>
    first_language: int = 50_259
    translate: int = 50_358
    transcribe: int = 50_359
    no_timestamps: int = 50_363

    def __post_init__(self):
        order = (self.end, self.start, self.first_language, self.translate, self.transcribe, self.no_timestamps)
        if sorted(order) != list(order) or self.end < 1:
            raise ValueError(f"the ids {order} must rise: end, start, language, translate, transcribe, no_timestamps")

    @property
    def first_timestamp(self) -> int:
        return self.no_timestamps + 1

    def prompt(self, language: int, translate: bool = False, timestamps: bool = True) -> list[int]:
        """What the decoder is given: start, language, task, and whether it may write times.

        Args:
            language: index of the language, 0 for English.
            translate: into English instead of transcribed.
            timestamps: whether times are wanted.

        Raises:
            ValueError: there is no such language.
        """
        if not 0 <= language < self.translate - self.first_language:
            raise ValueError(f"language {language} is outside of 0 .. {self.translate - self.first_language - 1}")
        task = self.translate if translate else self.transcribe
        return [self.start, self.first_language + language, task, *([] if timestamps else [self.no_timestamps])]


def timestamp_rules(
    logits: Float[Tensor, "V"], written: Sequence[int], special: SpecialTokens, max_initial: int | None = 50
) -> Float[Tensor, "V"]:
    """Logits with minus infinity for what may not come next.

    The first token is a time, at most `max_initial` steps in. Times come in pairs, end of one segment and start of the
    next, or before the end; after a pair comes text. Times do not fall. Where all times together are likelier than the
    likeliest text, a time it is     (Radford et al., 2022, arXiv:2212.04356, section 2.3, and the authors' decoding.py)

    Args:
        logits: of the next token.
        written: tokens after the prompt.
        special: the ids.
        max_initial: latest first time in steps of 0.02 s; None sets no limit.

    Raises:
        ValueError: fewer logits than special tokens, or a token that there is not.

    Chapter: book/ch16_speech_recognition
    """
    first, size = special.first_timestamp, len(logits)
    if size <= first or any(not 0 <= token < size for token in written):
        raise ValueError(f"{size} logits must reach beyond {first}, and the {len(written)} tokens lie within them")
    allowed = torch.ones_like(logits, dtype=torch.bool)
    allowed[special.no_timestamps] = False
    is_time = [token >= first for token in written]
    if not written:
        allowed[:first] = False
        if max_initial is not None:
            allowed[first + max_initial + 1 :] = False
    if is_time and is_time[-1]:
        if len(is_time) < 2 or is_time[-2]:
            allowed[first:] = False  # a pair is complete, or the start of the first segment: text
        else:
            allowed[: special.end] = False  # a segment has ended: the next one's start, or the end
    if times := [token for token in written if token >= first]:
        lone = is_time[-1] and not (len(is_time) < 2 or is_time[-2])
        allowed[first : times[-1] + (0 if lone else 1)] = False
    ruled = logits.masked_fill(~allowed, -math.inf)
    probs = ruled.double().log_softmax(-1)
    if probs[first:].logsumexp(0) > probs[:first].amax():
        ruled[:first] = -math.inf
    return ruled


class Segment(NamedTuple):
    """What was said from when to when."""

    start_s: float
    end_s: float
    tokens: list[int]


def segments(written: Sequence[int], special: SpecialTokens) -> list[Segment]:
    """Text between times. A segment whose end was not written is left out: it goes on in the next 30 s.

    Chapter: book/ch16_speech_recognition
    """
    found, start, text = [], None, []
    for token in written:
        if token >= special.first_timestamp:
            time_s = (token - special.first_timestamp) * SECONDS_PER_TIMESTAMP
            if text and start is not None:
                found.append(Segment(start, time_s, text))
            start, text = time_s, []
        elif token < special.end:
            text.append(token)
    return found
