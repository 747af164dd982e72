"""Chapter 8: fields and their architectures, patches, embeddings, the block, how far it sees, rollout, the stages."""

from collections.abc import Mapping, Sequence

from book_tools import draw
from book_tools.draw import Part, Sheet


def fields(rows: Mapping[str, tuple[str, str]]) -> list[Sheet]:
    """What each field used of its own, and what all use now."""
    one = draw.box("transformer", role="target", width=110, height=40 * len(rows) - 8)
    own = draw.column(
        *[
            draw.beside(field, draw.box(network, role="frozen", width=190, height=32), 92)
            for field, (network, _) in rows.items()
        ],
        gap=8,
        align="end",
    )
    sheet = draw.row(own, one, gap=46)
    return [Sheet(sheet, *[draw.arrow(part, one, leave="right", enter="left") for part in own])]


def patches(size: int, channels: int, patch: int, width: int) -> list[Sheet]:
    """An image cut into patches, flattened, projected."""
    side = size // patch
    count, numbers = side * side, patch * patch * channels
    cells = [[("picture", f"{row * side + column}") for column in range(side)] for row in range(side)]
    image = draw.titled(draw.grid(cells, cell=24, role="picture"), f"image, {side} x {side} patches")
    flat = draw.tensor("flattened patches", f"({count}, {numbers})", "picture", width=150)
    matrix = draw.box("W, b: one linear map", role="trained", shape=f"({numbers}, {width})", width=170)
    tokens = draw.tensor("patch embeddings", f"({count}, {width})", "text", width=150)
    stack = draw.column(flat, matrix, tokens, gap=26)
    return [
        Sheet(
            draw.row(image, stack, gap=44),
            draw.arrow(image, flat, leave="right", enter="left"),
            draw.arrow(flat, matrix),
            draw.arrow(matrix, tokens),
        )
    ]


def embeddings(count: int, width: int) -> list[Sheet]:
    """The three sums of equation 1: class token, patches, positions."""
    names = ["class", "p1", "p2", "...", f"p{count}"]
    tokens = draw.tokens(names, ["trained", *["picture"] * 4], width=58)
    positions = draw.tokens(["pos0", "pos1", "pos2", "...", f"pos{count}"], "trained", width=58)
    total = draw.tokens(["z0", "z1", "z2", "...", f"z{count}"], "text", width=58)
    state = draw.tensor("what the first block reads", f"({count + 1}, {width})", "text", width=300)
    sums = draw.column(tokens, draw.label("+"), positions, draw.label("="), total, state, gap=8)
    return [Sheet(sums)]


def block() -> list[Sheet]:
    """A pre-norm block: two sums past two branches."""
    z = [draw.tensor(name, "(T, d)", "text", width=66) for name in ("z", "z'", "z'", "next z")]
    sheets = []
    for (before, after), part, words in zip(
        (z[:2], z[2:]), ("attention", "MLP"), ("every token sees all", "each token by itself"), strict=True
    ):
        norm, branch, plus = draw.box("LayerNorm"), draw.box(part, role="target"), draw.box("+")
        line = draw.row(before, norm, branch, plus, after, gap=18)
        room = draw.space(height=86)  # for the residual, which passes below
        sheets.append(
            Sheet(
                draw.titled(draw.column(line, room, gap=0), f"{words}; dashed: the residual", gap=10),
                draw.arrow(before, norm),
                draw.arrow(norm, branch),
                draw.arrow(branch, plus),
                draw.arrow(plus, after),
                draw.arrow(before, plus, leave="bottom", enter="bottom", dashed=True),
            )
        )
    return sheets


def reach(kernel: int, depth: int, grid: int) -> list[Sheet]:
    """How far a unit in the middle sees: 3 x 3 convolutions, layer by layer, and one layer of attention."""
    middle = grid // 2

    def seen(radius: int) -> list[list[bool]]:
        return [[max(abs(y - middle), abs(x - middle)) <= radius for x in range(grid)] for y in range(grid)]

    radius = (kernel - 1) // 2
    views = [
        draw.titled(draw.grid(seen(layer * radius), cell=13, role="cached"), f"{layer} conv layer{'s' * (layer > 1)}")
        for layer in range(1, depth + 1)
    ]
    everything = draw.titled(draw.grid(seen(grid), cell=13, role="target"), "1 attention layer")
    return [Sheet(draw.row(*views, gap=14)), Sheet(everything)]


def positions(learned: Sequence[Sequence[float]], stretched: Sequence[Sequence[float]]) -> list[Sheet]:
    """One number of each learned position, and of each that is interpolated for a larger grid; 0 to 1."""
    small, large = (
        draw.titled(draw.grid(values, cell=120 / len(values), role="trained"), f"{name}: {len(values)} x {len(values)}")
        for name, values in (("learned", learned), ("interpolated", stretched))
    )
    arrow = draw.arrow(small, large, "bicubic", leave="right", enter="left")
    return [Sheet(draw.row(small, large, gap=80), arrow)]


def rollout(layers: Sequence[Sequence[Sequence[float]]], rolled: Sequence[Sequence[float]]) -> list[Sheet]:
    """The matrices of a few layers, and their product."""
    parts: list[Part] = []
    for number, layer in reversed(list(enumerate(layers, 1))):
        parts += [draw.titled(draw.grid(layer, cell=13, role="target"), f"layer {number}"), draw.label("·")]
    parts[-1] = draw.label("=")
    return [Sheet(draw.row(*parts, draw.titled(draw.grid(rolled, cell=13, role="accepted"), "rollout"), gap=8))]


def stages() -> list[Sheet]:
    """Which weights go on, and which begin anew, from pretraining to two uses."""
    names = ("head", "blocks", "positions", "patches")

    def model(title: str, roles: tuple[str, ...], head: str, where: str) -> Part:
        layers = [
            draw.box(head if name == "head" else name, role=role, width=112)
            for name, role in zip(names, roles, strict=True)
        ]
        return draw.titled(draw.column(*layers, gap=5), title, where, gap=8)

    first = model("pretraining", ("trained",) * 4, "which concept?", "32 x 32")
    second = model("fine-tuning", ("draft", "trained", "trained", "trained"), "which category?", "32 x 32")
    third = model("scenes", ("trained", "trained", "draft", "trained"), "which are there?", "64 x 64")
    return [
        Sheet(
            draw.row(first, second, third, gap=30),
            draw.arrow(first, second, leave="right", enter="left"),
            draw.arrow(second, third, leave="right", enter="left"),
        )
    ]
