"""What chapter 9 shows of CLIP at work: pictures with captions, and its interactive's numbers."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from book_tools.figures import embedded
from nimblelm.data.emoji import Concept, pictures
from nimblelm.vision.emoji_clip import TEMPLATES, EmojiCLIP
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.zero_shot import class_embeddings

TEMPERATURES = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5, 1.0)


@torch.no_grad()
def cosines(model: EmojiCLIP, shown: Sequence[Concept], style: str, captions: Sequence[str]) -> Tensor:
    """Of every picture with every caption."""
    images = model.image_features(normalize(pictures(style)[torch.tensor([one.index for one in shown])]))
    return images @ model.text_features(captions).T


def matrix(model: EmojiCLIP, shown: Sequence[Concept], styles: Sequence[str], chosen: Sequence[int]) -> dict[str, Any]:
    """The table of the similarity matrix: pictures in several styles, captions, their cosines in ten thousandths."""
    captions = [one.caption for one in shown]
    return {
        "captions": captions,
        "styles": list(styles),
        "images": [
            [embedded(Image.fromarray(pictures(style)[one.index].permute(1, 2, 0).numpy())) for one in shown]
            for style in styles
        ],
        "cosines": [(1e4 * cosines(model, shown, style, captions)).round().int().tolist() for style in styles],
        "temperatures": list(TEMPERATURES),
        "learned": round(1 / float(model.logit_scale.exp()), 4),
        "chosen": list(chosen),
    }


def _address(picture: Tensor) -> str:
    return embedded(Image.fromarray(picture.permute(1, 2, 0).numpy()))


def matrix_table(data: dict[str, Any]) -> str:
    """Without scripts: the cosines of the first style's chosen pictures and captions."""
    chosen, names = data["chosen"], [html.escape(name) for name in data["captions"]]
    head = "".join(f"<th scope='col'>{names[j]}</th>" for j in chosen)
    body = ""
    for i in chosen:
        image = f"<img src='{data['images'][0][i]}' alt='' width='32' height='32'>"
        values = "".join(f"<td>{data['cosines'][0][i][j] / 1e4:.2f}</td>" for j in chosen)
        body += f"<tr><th scope='row'>{image} {names[i]}</th>{values}</tr>"
    caption = f"Cosines of pictures (rows, {html.escape(data['styles'][0])}) and captions (columns)"
    return (
        f"<table class='table'><caption>{caption}</caption><thead><tr><th scope='col'>picture</th>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


@torch.no_grad()
def named(model: EmojiCLIP, shown: Sequence[Concept], style: str, among: Sequence[Concept]) -> list[Concept]:
    """For each picture the concept whose caption, in the mean over all prompts, is nearest."""
    images = model.image_features(normalize(pictures(style)[torch.tensor([one.index for one in shown])]))
    texts = class_embeddings(model.text_features, [one.caption for one in among], TEMPLATES)
    return [among[i] for i in (images @ texts.T).argmax(1).tolist()]


class Choices(NamedTuple):
    """How often the right one of several captions of a scene is nearest."""

    what: float  # the two things that are there, not one of them and another; a half by chance
    where: float  # left and right, not the other way round; a half by chance
    how_many: float  # one to four of a thing; a quarter by chance
    scenes: int


@torch.no_grad()
def scene_choices(model: EmojiCLIP, pool: Sequence[Concept], style: str, count: int = 120, seed: int = 0) -> Choices:
    """Scenes of two things side by side, and of one to four of a thing, each with captions to choose from."""
    generator, drawn = torch.Generator().manual_seed(seed), pictures(style)
    pairs, counted = [], []
    for _ in range(count):
        a, b, other = (pool[i] for i in torch.randperm(len(pool), generator=generator)[:3].tolist())
        number = int(torch.randint(1, 5, (), generator=generator))
        pairs.append((_canvas([drawn[a.index], drawn[b.index]], [0, 1]), a.caption, b.caption, other.caption))
        cells = torch.randperm(4, generator=generator)[:number].tolist()
        counted.append((_canvas([drawn[a.index]] * number, cells), a.caption, number))

    def first(scenes: list[Tensor], options: list[list[str]]) -> float:
        """Share of scenes whose first caption is nearest."""
        images = model.image_features(normalize(torch.stack(scenes)))
        texts = model.text_features([one for row in options for one in row]).unflatten(0, (count, -1))
        return float(((images[:, None] * texts).sum(2).argmax(1) == 0).float().mean())

    both, words = [picture for picture, *_ in pairs], ("one", "two", "three", "four")
    return Choices(
        first(both, [[f"{a} and {b}", f"{a} and {other}"] for _, a, b, other in pairs]),
        first(both, [[f"{a} left of {b}", f"{b} left of {a}"] for _, a, b, _ in pairs]),
        first(
            [picture for picture, _, _ in counted],
            [[f"{words[(n - 1 + k) % 4]} {a}" for k in range(4)] for _, a, n in counted],
        ),
        count,
    )


def _canvas(parts: Sequence[Tensor], cells: Sequence[int]) -> Tensor:
    """Pictures of 32 x 32 in cells of a grid of two by two, row by row, on white."""
    canvas = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    for part, cell in zip(parts, cells, strict=True):
        top, left = 32 * (cell // 2), 32 * (cell % 2)
        canvas[:, top : top + 32, left : left + 32] = part
    return canvas
