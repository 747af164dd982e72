"""Spoken numbers, letters, days and months, by four recorded speakers in five languages and by synthesizers.

`clips` says who says what, `sound` is the waveform. `strings` lays words end to end, so that every boundary of
connected speech is known, and `splits` says what is held out. NOTICE in this folder has sources and licences;
`tools/make_voices.py` made the files.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

SAMPLE_RATE_HZ = 16_000
RECORDED = ("allison", "june", "carlo", "ivrvoice")  # people; all other speakers are synthesizers
LANGUAGES = ("en", "es", "fr", "it", "ru")
FOLDER = Path(__file__).parents[1] / "voices"  # by name: what reads it is found by it


@dataclass(frozen=True)
class Clip:
    """One word or short phrase by one speaker."""

    speaker: str
    language: str  # of LANGUAGES; allison speaks English and Spanish
    meaning: str  # the same in every language: "number 7", "day 0" (Sunday), "month 3", "letter a"
    start: int  # first sample in the speaker's file
    length: int  # samples
    onset: int  # first sample of the clip that is not silence, to 10 ms
    offset: int  # first sample after the last that is not silence
    word: str | None = None  # how it is written in the language, where that is known


@cache
def clips() -> tuple[Clip, ...]:
    """All clips, speaker by speaker."""
    records = json.loads((FOLDER / "clips.json").read_text(encoding="utf-8"))
    return tuple(Clip(**record) for record in records)


def speakers() -> tuple[str, ...]:
    """Who speaks, recorded speakers first."""
    return tuple(dict.fromkeys(clip.speaker for clip in clips()))


def clip(speaker: str, language: str, meaning: str) -> Clip:
    """The one clip in which a speaker says something.

    Raises:
        ValueError: there is none; the message says which of the three is unknown.
    """
    found = _by_content().get((speaker, language, meaning))
    if found is not None:
        return found
    if speaker not in speakers():
        raise ValueError(f"no speaker is named {speaker!r}; there are {', '.join(speakers())}")
    spoken = sorted({one.language for one in clips() if one.speaker == speaker})
    if language not in spoken:
        raise ValueError(f"{speaker} speaks {', '.join(spoken)}, not {language!r}")
    raise ValueError(f"{speaker} does not say {meaning!r} in {language!r}; meanings are such as 'number 7' or 'day 0'")


@cache
def _by_content() -> dict[tuple[str, str, str], Clip]:
    return {(one.speaker, one.language, one.meaning): one for one in clips()}


def sound(one: Clip, trim: bool = False) -> Float[Tensor, "samples"]:
    """The waveform of a clip at 16 kHz, within -1 and 1; decoded from Opus at 28 kbit/s (synthesizers 16 kbit/s).

    Args:
        one: the clip.
        trim: without the silence before and after the word.

    Raises:
        ModuleNotFoundError: the package soundfile is not installed.
    """
    begins, ends = (one.onset, one.offset) if trim else (0, one.length)
    return _everything(one.speaker)[one.start + begins : one.start + ends].clone()


@cache
def _everything(speaker: str) -> Tensor:
    """A speaker's whole file; read once, since every clip lies in it."""
    import soundfile  # a GPU machine may lack it: nothing else here needs it

    decoded, sample_rate_hz = soundfile.read(FOLDER / f"{speaker}.opus", dtype="float32")
    assert sample_rate_hz == SAMPLE_RATE_HZ
    return torch.from_numpy(decoded)
