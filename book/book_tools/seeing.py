"""What chapter 11 shows of a language model that sees: arranged scenes with its answers, and texts that are spliced."""

import html
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from book_tools.figures import embedded
from nimblelm.data.emoji import Concept, pictures
from nimblelm.data.emoji.splits import held_out_pair
from nimblelm.data.words import WordTokenizer
from nimblelm.language.splice import IGNORED, answer_labels, splice
from nimblelm.multimodal.emoji_vlm import EmojiVLM, first_words, load_tower, scene_features

SIZE, CELL = 26, 32  # pixels of a thing and of its cell
ASKED = (
    "what is left of the {} ?",
    "what is right of the {} ?",
    "what is above the {} ?",
    "what is below the {} ?",
    "how many of {} ?",
    "is there a {} ?",
)


def arranged(cells: Sequence[Concept | None], style: str) -> Tensor:
    """A scene (3, 64, 64) of bytes: what stands in each of four cells, row by row."""
    canvas = torch.full((3, 2 * CELL, 2 * CELL), 255, dtype=torch.uint8)
    for i, one in enumerate(cells):
        if one is None:
            continue
        drawn = pictures(style)[one.index][None].float()
        small = F.interpolate(drawn, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
        top, left = (CELL * part + (CELL - SIZE) // 2 for part in divmod(i, 2))
        canvas[:, top : top + SIZE, left : left + SIZE] = small[0].round().clamp(0, 255).to(torch.uint8)
    return canvas


def arranger(model: EmojiVLM, tokenizer: WordTokenizer, things: Sequence[Concept], style: str) -> dict[str, Any]:
    """The table of the scene arranger: for every way to fill four cells, each question's likeliest word.

    Scene number s has thing (s // (n + 1)^i) % (n + 1) in cell i, 0 for nothing; answers[s][t][q] is the index of a
    word times 101 plus its probability in per cent.
    """
    options, base = [None, *things], len(things) + 1
    filled = [tuple(reversed(one)) for one in product(options, repeat=4)]
    questions = [asked.format(one.caption) for one in things for asked in ASKED]
    answers: list[list[list[int]]] = []
    words: list[str] = []
    for begin in range(0, len(filled), 64):
        scenes = torch.stack([arranged(one, style) for one in filled[begin : begin + 64]])
        chances, best = first_words(model, tokenizer, scene_features(load_tower(), scenes), questions).max(2)
        for row, sure in zip(best.tolist(), chances.tolist(), strict=True):
            said = [tokenizer.words[i] for i in row]
            words += [word for word in dict.fromkeys(said) if word not in words]
            coded = [101 * words.index(word) + round(100 * p) for word, p in zip(said, sure, strict=True)]
            answers.append([coded[i : i + len(ASKED)] for i in range(0, len(coded), len(ASKED))])
    new = [
        [i, j] for i, one in enumerate(things) for j, other in enumerate(things) if i < j and held_out_pair(one, other)
    ]
    return {
        "things": [one.caption for one in things],
        "images": [embedded(Image.fromarray(pictures(style)[one.index].permute(1, 2, 0).numpy())) for one in things],
        "asked": list(ASKED),
        "words": words,
        "answers": answers,
        "new": new,
        "tour": [
            sum(k * base**i for i, k in enumerate(cells))
            for cells in ((1, 2, 0, 0), (1, 2, 3, 0), (1, 2, 3, 1), (3, 1, 3, 3))
        ],
    }


def said(data: dict[str, Any], cells: Sequence[int], thing: int, question: int) -> tuple[str, int]:
    """The model's word and its per cent for a scene, from the arranger's table."""
    base = len(data["things"]) + 1
    coded = data["answers"][sum(k * base**i for i, k in enumerate(cells))][thing][question]
    return data["words"][coded // 101], coded % 101


def arranger_table(data: dict[str, Any], cells: Sequence[int]) -> str:
    """Without scripts: one scene, and all questions about it."""
    names = ["nothing", *data["things"]]
    rows = ""
    for thing, name in enumerate(data["things"]):
        for question, asked in enumerate(data["asked"]):
            word, sure = said(data, cells, thing, question)
            rows += f"<tr><th scope='row'>{html.escape(asked.format(name))}</th><td>{word}</td><td>{sure}%</td></tr>"
    shown = ", ".join(names[k] for k in cells)
    return (
        f"<table class='table'><caption>A scene of {shown} (row by row), and what the model says</caption>"
        f"<thead><tr><th scope='col'>question</th><th scope='col'>answer</th><th scope='col'>probability</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>"
    )


IMAGE = "<image>"


def slots(texts: Sequence[str], per_image: int, side: str) -> dict[str, list[list[Any]]]:
    """Four rows for each text, as `splice` makes them: what stands in each slot, its label, whether it is a token.

    Words are split at spaces; those behind "answer:" are labels, up to "question:".
    """
    rows = [text.split() for text in texts]
    vocabulary = [IMAGE, *dict.fromkeys(word for row in rows for word in row if word != IMAGE)]
    ids = [torch.tensor([vocabulary.index(word) for word in row]) for row in rows]
    labels = [answer_labels(one, _answers(row)) for one, row in zip(ids, rows, strict=True)]
    count = sum(row.count(IMAGE) for row in rows)
    images = [torch.full((per_image, 1), -1.0 - n) for n in range(count)]
    found = splice(ids, labels, images, lambda tokens: tokens[..., None].float(), 0, side)
    shown: list[list[Any]] = []
    for values, visible in zip(found.embeddings[..., 0].int().tolist(), found.visible.tolist(), strict=True):
        taken: dict[int, int] = {}
        line = []
        for value, there in zip(values, visible, strict=True):
            if there and value < 0:
                taken[value] = taken.get(value, 0) + 1
                line.append(f"{-value}.{taken[value]}")
            else:
                line.append(vocabulary[value] if there else "")
        shown.append(line)
    words = [["" if k == IGNORED else vocabulary[k] for k in row] for row in found.labels.tolist()]
    return {"slots": shown, "labels": words, "mask": [[int(k) for k in row] for row in found.visible.tolist()]}


def _answers(row: Sequence[str]) -> list[tuple[int, int]]:
    spans, begin = [], None
    for i, word in enumerate([*row, "question:"]):
        if word == "question:" and begin is not None:
            spans += [(begin, i)] if i > begin else []
            begin = None
        if word == "answer:":
            begin = i + 1
    return spans


def splice_table(found: dict[str, list[list[Any]]]) -> str:
    """Without scripts: the rows of the first text."""
    body = ""
    for name in ("slots", "labels", "mask"):
        cells = "".join(f"<td>{html.escape(str(one))}</td>" for one in found[name][0])
        body += f"<tr><th scope='row'>{name}</th>{cells}</tr>"
    caption = "Slots, labels and mask of a text with pictures"
    return f"<table class='table'><caption>{caption}</caption><tbody>{body}</tbody></table>"
