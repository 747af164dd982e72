"""Scenes of two to four emoji on one canvas, with a caption, and questions whose answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from nimblelm.data.emoji import SIDE, Concept, pictures

CANVAS = 2 * SIDE  # a grid of 2 x 2 cells
SIZES = (22, 29)  # pixels of an emoji in its cell: from, and below
NEIGHBOURS = {"left of": (0, -1), "right of": (0, 1), "above": (-1, 0), "below": (1, 0)}  # row, column


class Placed(NamedTuple):
    """One emoji of a scene and its cell."""

    concept: Concept
    row: int
    column: int


class Question(NamedTuple):
    """A question about a scene and its one-word answer.

    `kind` is "what" (what stands left of the pizza), "count" (how many pizzas) or "exists" (is there a pizza).
    """

    kind: str
    text: str
    answer: str


@dataclass(frozen=True)
class Scene:
    """A picture, what stands where in it, and in which style."""

    picture: UInt8[Tensor, "3 64 64"]
    placed: tuple[Placed, ...]
    style: str

    @property
    def caption(self) -> str:
        """What stands in which cell, in reading order."""
        words = {(0, 0): "top left", (0, 1): "top right", (1, 0): "bottom left", (1, 1): "bottom right"}
        return ", ".join(f"{one.concept.caption} {words[one.row, one.column]}" for one in self.placed)


def draw_scene(pool: Sequence[Concept], style: str, generator: torch.Generator) -> Scene:
    """A scene of two to four emoji of the pool, in random cells, sizes and places within their cells.

    With probability 1/2 one of them stands there twice or more, so that counting has something to count.

    Args:
        pool: what may stand in it, two concepts or more.
        style: one of `nimblelm.data.emoji.STYLES`.
        generator: source of randomness, on the CPU.

    Raises:
        ValueError: the pool is too small, or there is no such style.
    """
    if len(pool) < 2:
        raise ValueError(f"a scene needs a pool of 2 concepts or more, got {len(pool)}")
    count = 2 + _integer(3, generator)
    chosen = [pool[i] for i in torch.randperm(len(pool), generator=generator)[:count].tolist()]
    chosen += [chosen[_integer(len(chosen), generator)] for _ in range(count - len(chosen))]  # of a small pool
    if _integer(2, generator):
        chosen[-1] = chosen[0]
    cells = sorted(torch.randperm(4, generator=generator)[:count].tolist())
    placed = tuple(Placed(one, *divmod(cell, 2)) for one, cell in zip(chosen, cells, strict=True))
    canvas = torch.full((3, CANVAS, CANVAS), 255, dtype=torch.uint8)
    for one in placed:
        size = SIZES[0] + _integer(SIZES[1] - SIZES[0], generator)
        top, left = (cell * SIDE + _integer(SIDE - size + 1, generator) for cell in (one.row, one.column))
        canvas[:, top : top + size, left : left + size] = _scaled(pictures(style)[one.concept.index], size)
    return Scene(canvas, placed, style)


def ask(scene: Scene, pool: Sequence[Concept], generator: torch.Generator) -> list[Question]:
    """One question of each kind that the scene allows, and whose answer is one and only one.

    Args:
        scene: what is asked about.
        pool: what might have stood in it: half of the questions "is there" are about a concept that does not.
        generator: source of randomness, on the CPU.
    """
    there = {one.concept.name: one.concept for one in scene.placed}
    counts = {name: sum(one.concept.name == name for one in scene.placed) for name in there}
    absent = [one for one in pool if one.name not in there]
    questions = []
    if neighbours := _neighbours(scene, counts):
        relation, near, far = neighbours[_integer(len(neighbours), generator)]
        questions.append(Question("what", f"what is {relation} the {near.caption}", far.caption))
    counted = list(there.values())[_integer(len(there), generator)]
    questions.append(Question("count", f"how many of {counted.caption}", str(counts[counted.name])))
    present = not absent or _integer(2, generator) == 1
    asked = list(there.values()) if present else absent
    one = asked[_integer(len(asked), generator)]
    questions.append(Question("exists", f"is there a {one.caption}", "yes" if present else "no"))
    return questions


def _neighbours(scene: Scene, counts: dict[str, int]) -> list[tuple[str, Concept, Concept]]:
    """(relation, what is asked from, what stands there) for every concept that stands in the scene once."""
    at = {(one.row, one.column): one.concept for one in scene.placed}
    return [
        (relation, concept, at[row + down, column + right])
        for (row, column), concept in at.items()
        if counts[concept.name] == 1
        for relation, (down, right) in NEIGHBOURS.items()
        if (row + down, column + right) in at
    ]


def _scaled(picture: Tensor, size: int) -> Tensor:
    """A picture (3, 32, 32) at size x size pixels, each the mean of what it covers."""
    scaled = F.interpolate(picture[None].float(), (size, size), mode="bilinear", antialias=True, align_corners=False)
    return scaled[0].round().clamp(0, 255).to(torch.uint8)


def _integer(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
