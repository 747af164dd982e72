"""Connected speech from single words, as a telephone exchange says it; the boundaries of every word are known."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.data.voices import SAMPLE_RATE_HZ, Clip, sound

FADE_S = 0.005  # at both ends of a word, so that joining does not click


class Utterance(NamedTuple):
    """Words one after the other."""

    waveform: Float[Tensor, "samples"]
    words: tuple[Clip, ...]
    boundaries: tuple[tuple[int, int], ...]  # first sample of each word, first after it


def joined(words: Sequence[Clip], gaps_s: Sequence[float]) -> Utterance:
    """Words laid end to end with silence between.

    Args:
        words: one clip or more.
        gaps_s: seconds of silence before each word, and after the last: one more than words. A negative gap lets a word
            begin before the one before it has ended, as in fast speech; it may not reach beyond half of either.

    Raises:
        ValueError: no words, a wrong number of gaps, or a gap that is too negative or not finite.
    """
    if not words or len(gaps_s) != len(words) + 1:
        raise ValueError(f"{len(words)} words need {len(words) + 1} gaps, got {len(gaps_s)}: 1 word or more")
    if not all(map(math.isfinite, gaps_s)):
        raise ValueError(f"gaps of {list(gaps_s)} s: each must be finite, not nan or inf")
    parts = [_faded(sound(word, trim=True)) for word in words]
    gaps = [round(gap * SAMPLE_RATE_HZ) for gap in gaps_s]
    for i, gap in enumerate(gaps):
        around = [len(part) for part in parts[max(i - 1, 0) : i + 1]] if 0 < i < len(parts) else [0]
        if -gap > min(around) // 2:
            raise ValueError(f"gap {i} of {gaps_s[i]:g} s overlaps more than half of a word of {min(around)} samples")
    boundaries, at = [], 0
    for gap, part in zip(gaps, parts, strict=False):
        begins = at + gap
        boundaries.append((begins, begins + len(part)))
        at = begins + len(part)
    waveform = torch.zeros(at + gaps[-1])
    for (begins, ends), part in zip(boundaries, parts, strict=True):
        waveform[begins:ends] += part
    return Utterance(waveform, tuple(words), tuple(boundaries))


def _faded(waveform: Tensor) -> Tensor:
    ramp = torch.linspace(0, 1, min(round(FADE_S * SAMPLE_RATE_HZ), len(waveform) // 2))
    waveform[: len(ramp)] *= ramp
    waveform[len(waveform) - len(ramp) :] *= ramp.flip(0)
    return waveform


def number_meanings(number: int) -> list[str]:
    """A number as the meanings that are said for it in English: 742 is 7, hundred, 40, 2.

    Args:
        number: 0 to 999,999.

    Raises:
        ValueError: the number is out of that range.
    """
    if not 0 <= number < 1_000_000:
        raise ValueError(f"the number {number} is outside of 0 .. 999999")
    thousands, rest = divmod(number, 1000)
    hundreds, below = divmod(rest, 100)
    said = [*number_meanings(thousands), "number 1000"] if thousands else []
    said += [f"number {hundreds}", "digits hundred"] if hundreds else []
    if below > 20 and below % 10:
        said += [f"number {below // 10 * 10}", f"number {below % 10}"]
    elif below or not said:
        said.append(f"number {below}")
    return said
