"""Pictures with names: the emoji that four open icon sets share, each drawn four times, with words and attributes.

`concepts` says what there is, `pictures` how each style draws it; `splits` what is held out, `scenes` arranges several
on one canvas and asks questions whose answers are known. NOTICE in this folder has sources and licences;
`tools/make_emoji.py` made the files.
"""

import io
import json
import lzma
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

STYLES = ("noto", "twemoji", "openmoji", "fluent")
GENDERS = ("man", "woman", "person")
SKIN_TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
SIDE = 32  # pixels
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Concept:
    """What one emoji shows."""

    index: int  # row in `pictures`
    name: str  # as icon sets spell it: "woman-judge-dark-skin-tone"
    caption: str  # Unicode's name in plain words: "woman judge dark skin tone"
    category: str  # one of 20, such as "animal"; coarser than Unicode's subgroups
    gender: str | None = None  # of GENDERS, for people that are drawn for all three; "person" where none is named
    role: str | None = None  # what such a person is or does: "judge", "surfing", "red hair"
    skin_tone: str | None = None  # of SKIN_TONES; None where nothing is said, people are yellow then
    hair: str | None = None  # "bald", "beard", "curly hair", "red hair" or "white hair"
    colour: str | None = None  # of things that come in three colours or more: "red" of hearts, circles, books


@cache
def concepts() -> tuple[Concept, ...]:
    """All concepts, sorted by name without the tone, each person's tones behind the person."""
    records = json.loads((FOLDER / "concepts.json").read_text(encoding="utf-8"))
    return tuple(Concept(index, **record) for index, record in enumerate(records))


def concept(name: str) -> Concept:
    """The concept of that name.

    Raises:
        ValueError: there is none; the message has names that are alike.
    """
    found = _by_name().get(name)
    if found is None:
        alike = [one for one in _by_name() if set(name.split("-")) & set(one.split("-"))][:5]
        raise ValueError(f"no emoji is named {name!r}; alike are {', '.join(alike) or 'none'}")
    return found


@cache
def _by_name() -> dict[str, Concept]:
    return {one.name: one for one in concepts()}


@cache
def pictures(style: str) -> UInt8[Tensor, "N 3 32 32"]:
    """Every concept as one style draws it, red, green and blue from 0 to 255 on white; shared, so do not write to it.

    Args:
        style: one of STYLES. A style is quantized to one palette of 256 colours.

    Raises:
        ValueError: no such style.
    """
    if style not in STYLES:
        raise ValueError(f"no style is named {style!r}; there are {', '.join(STYLES)}")
    with np.load(io.BytesIO(lzma.decompress((FOLDER / f"{style}.npz.xz").read_bytes()))) as stored:
        drawn = torch.from_numpy(stored["palette"][stored["pixels"]])  # (N, 32, 32, 3)
    return drawn.permute(0, 3, 1, 2).contiguous()
