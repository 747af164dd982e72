"""What chapter 8 shows of a vision transformer at work: pictures, maps over patches, its interactive's numbers."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from book_tools.figures import embedded, new_figure, show
from nimblelm.data.emoji.scenes import Scene, draw_scene
from nimblelm.nn.attend import recorded
from nimblelm.vision.emoji_models import CATEGORIES
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.rollout import attention_rollout, class_relevance
from nimblelm.vision.vit import ViT

GREEN, ORANGE = "#2b9348", "#d0690b"


def show_pictures(
    pictures: Tensor, below: Sequence[str], columns: int, alt: str, caption: str, key: str, right: Sequence[bool] = ()
) -> None:
    """Pictures (N, 3, height, width) of bytes in rows, words below each; green where `right`, orange where not."""
    rows, lines = -(-len(pictures) // columns), max(words.count("\n") + 1 for words in below)
    fig, axes = _axes(rows, columns, max(len(line) for words in below for line in words.split("\n")), lines)
    for i, ax in enumerate(axes):
        ax.axis("off")
        if i < len(pictures):
            ax.imshow(pictures[i].permute(1, 2, 0).numpy(), interpolation="none")
            color = "black" if not right else GREEN if right[i] else ORANGE
            ax.set_title(below[i], fontsize=10, y=-0.05, va="top", color=color)
    show(fig, alt, caption, key)


def _axes(rows: int, columns: int, letters: int, lines: int):
    """Axes with room for so many letters in so many lines below each."""
    fig: Any
    fig, (first,) = new_figure(1, width=max(1.1, 0.085 * letters) * columns, height=(1.18 + 0.17 * lines) * rows + 0.15)
    first.remove()
    return fig, fig.subplots(rows, columns, squeeze=False).flatten()


def show_maps(picture: Tensor, maps: dict[str, Tensor], alt: str, caption: str, key: str) -> None:
    """A picture, and beside it the same under each map over its square grid of patches."""
    fig, axes = new_figure(1 + len(maps), width=1.75 * (1 + len(maps)), height=2.1)
    size = picture.shape[-1]
    for ax, (name, values) in zip(axes, {"the picture": None, **maps}.items(), strict=True):
        ax.axis("off")
        ax.imshow(picture.permute(1, 2, 0).numpy(), interpolation="none")
        if values is not None:
            side = round(len(values) ** 0.5)
            shade = (values / values.max()).view(side, side).numpy()
            ax.imshow(shade, extent=(-0.5, size - 0.5, size - 0.5, -0.5), cmap="inferno", alpha=0.72, vmin=0, vmax=1)
        ax.set_title(name, fontsize=10)
    show(fig, alt, caption, key)


def attention_maps(model: ViT, images: Tensor) -> list[Tensor]:
    """The softmax weights (B, H, T, T) of each layer."""
    maps: list[Tensor] = []
    with torch.no_grad():
        model(images, recorded(maps))
    return maps


def cell_of(patch: int, grid: int = 8) -> tuple[int, int]:
    """Which cell of a scene, row and column, a patch lies in."""
    return patch // grid // (grid // 2), patch % grid // (grid // 2)


def asked_scenes(pool, style: str, count: int, seed: int) -> list[tuple[Scene, str]]:
    """Scenes, each with a category that is in one cell of it and in no other, and not in all."""
    generator, found = torch.Generator().manual_seed(seed), []
    while len(found) < count:
        scene = draw_scene(pool, style, generator)
        names = [one.concept.category for one in scene.placed]
        single = [name for name in names if names.count(name) == 1]
        if single and len(set(names)) > 1:
            found.append((scene, single[0]))
    return found


def found_shares(maps: Tensor, asked: Sequence[tuple[Scene, str]]) -> dict[str, float]:
    """How often the largest patch of a map (64) is in the cell of what was asked for, and what share of it is."""
    hits, shares = [], []
    for values, (scene, category) in zip(maps, asked, strict=True):
        (place,) = [(one.row, one.column) for one in scene.placed if one.concept.category == category]
        inside = torch.tensor([cell_of(patch) == place for patch in range(len(values))])
        hits.append(float(inside[values == values.max()].float().mean()))  # of equals, each as often
        shares.append(float(values[inside].sum() / values.sum()))
    return {"hits": sum(hits) / len(hits), "share": sum(shares) / len(shares)}


def explorer(model: ViT, scene: Scene) -> dict[str, Any]:
    """The table of the patch explorer: picture, vectors, and for each layer who attends to whom, alone, rolled out."""
    images = normalize(scene.picture[None])
    maps = attention_maps(model, images)
    with torch.no_grad():
        vectors = model.embed(images)[0, 1:]
        chances = model(images)[0].sigmoid()
    shown = list(dict.fromkeys(one.concept.category for one in scene.placed))
    return {
        "image": embedded(Image.fromarray(scene.picture.permute(1, 2, 0).numpy())),
        "grid": model.config.grid[0],
        "patch": model.config.patch_size,
        "vectors": (20 * vectors / vectors.abs().amax(1, keepdim=True)).round().int().tolist(),
        "attention": [_thousandths(layer[0].mean(0)) for layer in maps],
        "rollout": [_thousandths(attention_rollout(maps[: n + 1])[0]) for n in range(len(maps))],
        "relevance": {name: _of_largest(class_relevance(model, images, [CATEGORIES.index(name)])[0]) for name in shown},
        "chances": {name: round(float(chances[CATEGORIES.index(name)]), 3) for name in shown},
    }


def _thousandths(weights: Tensor) -> list[list[int]]:
    return (1000 * weights).round().int().tolist()


def _of_largest(values: Tensor) -> list[int]:
    return (1000 * values / values.max().clamp(min=1e-12)).round().int().tolist()


def explorer_table(data: dict[str, Any]) -> str:
    """Without scripts: how much of the class token's rollout each row of patches has, layer by layer."""
    grid = data["grid"]
    head = "".join(f"<th scope='col'>row {row + 1}</th>" for row in range(grid))
    body = ""
    for number, layer in enumerate(data["rollout"], 1):
        sums = [sum(layer[0][1 + row * grid : 1 + (row + 1) * grid]) / 10 for row in range(grid)]
        body += f"<tr><th scope='row'>{number}</th>" + "".join(f"<td>{one:.1f}</td>" for one in sums) + "</tr>"
    caption = "Per cent of the class token's rollout on each row of patches"
    return (
        f"<table class='table'><caption>{caption}</caption><thead><tr><th scope='col'>layer</th>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
