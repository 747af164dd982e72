"""What the model that sees is trained on: glosses of a dictionary, scenes with captions and questions."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from language_model import track
from nimblelm.data.emoji import STYLES
from nimblelm.data.emoji.scenes import Scene, ask, draw_scene
from nimblelm.data.emoji.splits import has_held_out_pair
from nimblelm.data.words import BEGIN, END, SPECIAL, WordTokenizer, split_words
from nimblelm.multimodal.emoji_vlm import (
    UNSEEN_STYLE,
    clocks,
    load_tower,
    pool,
    question_words,
    scene_features,
)

WORDNET = Path("/usr/share/wordnet")  # Debian's wordnet-base
VOCAB_SIZE = 1600
CLOCK_SHARE = 0.12  # of the scenes
TRAINED_STYLES = tuple(style for style in STYLES if style != UNSEEN_STYLE)


@cache
def glosses() -> tuple[tuple[str, str], ...]:
    """(headword, definition) of every entry of WordNet 3.0; examples and what stands in brackets are left out."""
    found = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (WORDNET / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue  # the licence, which heads each file
            entry, gloss = line.split(" | ", 1)
            definition = re.sub(r"\([^)]*\)", "", gloss.split('"')[0].split(";")[0]).strip().lower()
            if not re.search(r"[^a-z,' -]", definition):
                found.append((entry.split()[4].split("(")[0].replace("_", " ").lower(), definition))
    return tuple(found)


def vocabulary() -> list[str]:
    """The special tokens, what scenes are spoken of with, and the most frequent words of the definitions."""
    counts = Counter(word for _, definition in glosses() for word in split_words(definition))
    needed = sorted(question_words(pool()))
    common = [word for word, _ in counts.most_common() if word not in needed]
    return [*SPECIAL, *needed, *common[: VOCAB_SIZE - len(SPECIAL) - len(needed)]]


def sentences(tokenizer: WordTokenizer) -> list[list[int]]:
    """Definitions that the vocabulary covers, behind their headword where it covers that too."""
    found = []
    for headword, definition in glosses():
        words = split_words(definition)
        if len(words) > 2 and all(word in tokenizer.ids for word in words):
            head = split_words(headword)
            known = "".join(head) == headword.replace(" ", "") and all(word in tokenizer.ids for word in head)
            found.append(tokenizer.encode(f"{BEGIN} {f'{headword} : ' if known else ''}{definition} {END}"))
    return found


def draw(
    count: int, held_out: bool, styles: tuple[str, ...], seed: int, clock_share: float = CLOCK_SHARE
) -> list[Scene]:
    """Scenes, some with a clock, that show a held-out pair or none."""
    generator = torch.Generator().manual_seed(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        style = styles[len(scenes) % len(styles)]
        if torch.rand((), generator=generator) < clock_share:
            some = [clocks()[int(torch.randint(24, (), generator=generator))]]
            some.append(pool()[int(torch.randint(len(pool()), (), generator=generator))])
            scenes.append(draw_scene(some, style, generator))
            continue
        scene = draw_scene(pool(), style, generator)
        if has_held_out_pair([one.concept for one in scene.placed]) == held_out:
            scenes.append(scene)
    return scenes


def texts(scene: Scene, generator: torch.Generator, rounds: int = 2) -> list[tuple[str, str, str]]:
    """(kind, question, answer) about a scene; kinds are what, count, exists, point, clock and caption."""
    shown = [one.concept for one in scene.placed]
    times = {one.caption for one in shown if one.category == "clock"}
    found = [("caption", "describe ?", scene.caption)]
    for _ in range(rounds):
        found += [(q.kind, f"{q.text} ?", q.answer) for q in ask(scene, pool(), generator)]
    once = [one for one in scene.placed if shown.count(one.concept) == 1]
    if once:
        one = once[int(torch.randint(len(once), (), generator=generator))]
        column, row = (2 + 5 * one.column, 2 + 5 * one.row)
        found.append(("point", f"point to the {one.concept.caption} ?", f"{column} {row}"))
    if times:
        found.append(("clock", "what time is it ?", times.pop()))
    return list(dict.fromkeys(found))


@dataclass
class Seen:
    """Scenes with the tower's features of them."""

    scenes: list[Scene]
    features: Tensor  # (N, 64, 256) in float16


def see(scenes: list[Scene], name: str) -> Seen:
    tower, found = load_tower(), []
    pictures = torch.stack([scene.picture for scene in scenes])
    for chunk in track(pictures.split(64), name):
        found.append(scene_features(tower, chunk).half())
    return Seen(scenes, torch.cat(found))


@dataclass
class Batch:
    """Texts about pictures, several behind each: tokens, whose each is (0: none), and what is to be predicted."""

    tokens: Tensor  # (B, T)
    annotation: Tensor  # (B, T): 1, 2, ... or -1 for padding
    positions: Tensor  # (B, T): within its text
    labels: Tensor  # (B, T): the next token where it is part of an answer, else -100
    kinds: list[list[str]]  # of each text of each picture


def pack(tokenizer: WordTokenizer, about: list[list[tuple[str, str, str]]]) -> Batch:
    """Lay the texts about each picture one behind the other."""
    rows = []
    for asked in about:
        tokens, annotation, positions, labels = [], [], [], []
        for number, (_kind, question, reply) in enumerate(asked, 1):
            head = tokenizer.encode(f"{BEGIN} {question}") if question else tokenizer.encode(BEGIN)
            tail = tokenizer.encode(f"{reply} {END}")
            ids = [*head, *tail]
            labels += [-100] * (len(head) - 1) + tail + [-100]
            tokens += ids
            annotation += [number] * len(ids)
            positions += range(len(ids))
        rows.append((tokens, annotation, positions, labels))
    longest = max(len(row[0]) for row in rows)

    def filled(part: int, fill: int) -> Tensor:
        return torch.tensor([row[part] + [fill] * (longest - len(row[part])) for row in rows])

    kinds = [[kind for kind, *_ in asked] for asked in about]
    return Batch(filled(0, 0), filled(1, -1), filled(2, 0), filled(3, -100), kinds)


def names_only(tokenizer: WordTokenizer, scenes: list[Scene], generator: torch.Generator) -> Tensor:
    """(B, 4) ids of what each scene shows, in random order, once each: what a caption without places would say."""
    rows = torch.zeros(len(scenes), 4, dtype=torch.long)
    for row, scene in zip(rows, scenes, strict=True):
        names = sorted({one.concept.caption.split()[0] for one in scene.placed})
        order = torch.randperm(len(names), generator=generator).tolist()
        row[: len(names)] = torch.tensor([tokenizer.ids[names[i]] for i in order])
    return rows
