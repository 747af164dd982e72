"""Chapter 6: pruned and quantized, 2:4 storage, Wanda, rewinding, what shearing kept, who descends and who ascends."""

from collections.abc import Sequence

from book_tools import draw
from book_tools.draw import Part, Sheet


def pruned_and_quantized(row: Sequence[float], kept: Sequence[bool], step: float) -> list[Sheet]:
    """A row of weights as it is, pruned, and on a grid."""
    width = 46
    lines = {
        "trained": [("plain", f"{w:.2f}") for w in row],
        "pruned": [("target", f"{w:.2f}") if k else ("masked", "0") for w, k in zip(row, kept, strict=True)],
        "quantized": [("cached", f"{round(w / step) * step:.2f}") for w in row],
    }
    left = max(draw.label(name).width for name in lines)
    rows = [draw.beside(name, draw.grid([cells], cell=(width, 24)), left) for name, cells in lines.items()]
    return [Sheet(draw.column(*rows, gap=8, align="start"))]


def stored_pairs(row: Sequence[float], kept: Sequence[bool], places: Sequence[int]) -> list[Sheet]:
    """Eight weights of a row, the four that stay, and two bits for the place of each."""
    cell = (44, 24)
    above = draw.grid([[("target" if k else "masked", f"{w:.1f}") for w, k in zip(row, kept, strict=True)]], cell=cell)
    values = draw.grid([[("target", f"{w:.1f}") for w, k in zip(row, kept, strict=True) if k]], cell=cell)
    bits = draw.grid([[("cached", f"{place:02b}") for place in places]], cell=cell)
    below = draw.column(draw.beside("values", values, 44), draw.beside("places", bits, 44), gap=8, align="start")
    return [Sheet(draw.column(above, below, gap=34), draw.arrow(above, values))]


def wanda_scores(
    weight: Sequence[Sequence[float]], norms: Sequence[float], kept: Sequence[Sequence[bool]]
) -> list[Sheet]:
    """Magnitudes, norms of the inputs above their columns, and the scores of which half of each row stay."""
    cell = (38, 24)
    magnitudes = draw.grid([[("plain", f"{abs(w):.1f}") for w in row] for row in weight], cell=cell)
    inputs = draw.grid([[("text", f"{n:.0f}") for n in norms]], cell=cell)
    scores = draw.grid(
        [
            [("target" if k else "masked", f"{abs(w) * n:.1f}") for w, n, k in zip(row, norms, line, strict=True)]
            for row, line in zip(weight, kept, strict=True)
        ],
        cell=cell,
    )
    left = draw.column(draw.titled(inputs, "norm of each input"), draw.titled(magnitudes, "|W|"), gap=10)
    return [Sheet(left), Sheet(draw.titled(scores, "|W| times norm, half of each row stays"))]


def rewinding() -> list[Sheet]:
    """The loop of the lottery ticket: train, prune, go back to the first weights."""
    start = draw.box("first weights", role="text", width=120)
    trained = draw.box("train", role="now", width=90)
    pruned = draw.box("drop the smallest", role="rejected", width=130)
    upper = draw.row(start, trained, pruned, gap=36)
    back = draw.box("rewind: mask x first weights", "(the ticket)", role="accepted", width=210)
    return [
        Sheet(
            draw.column(upper, back, gap=44),
            draw.arrow(start, trained),
            draw.arrow(trained, pruned),
            draw.arrow(pruned, back, "mask", leave="bottom", enter="right"),
            draw.arrow(back, start, leave="left", enter="bottom"),
        )
    ]


def kept_parts(layers: Sequence[int], heads: Sequence[Sequence[int]], num_layers: int, num_heads: int) -> list[Sheet]:
    """Which layers and which of their query heads a sheared model kept."""
    cells = [
        [("accepted" if i in layers else "unused") if j in heads[i] else "masked" for j in range(num_heads)]
        for i in range(num_layers)
    ]
    names = [f"layer {i}{'' if i in layers else ', gone'}" for i in range(num_layers)]
    return [Sheet(draw.grid(cells, rows=names, columns=[str(j) for j in range(num_heads)], cell=(34, 18)))]


def min_max() -> list[Sheet]:
    """Who goes down and who goes up on the same sum."""
    weights = draw.box("weights", role="target", width=110)
    masks = draw.box("masks z(log alpha)", role="trained", width=150)
    pairs = draw.box("multipliers", role="draft", width=110)
    lower = draw.row(weights, masks, pairs, gap=24)
    sum_of_both = "L(W, z) + l1 (s^ - s) + l2 (s^ - s)^2"
    total = draw.box("loss + penalty", role="plain", shape=sum_of_both, width=lower.width)
    arrows = [
        draw.arrow(weights, total, "down"),
        draw.arrow(masks, total, "down"),
        draw.arrow(pairs, total, "up", role="draft"),
    ]
    return [Sheet(draw.column(total, lower, gap=46), *arrows)]


def norm_of_the_open(values: Sequence[float]) -> list[Sheet]:
    """A residual stream with closed features, and the two means of squares that a norm could take."""
    cell = (40, 24)
    masked = draw.grid([[("cached", f"{v:.0f}") if v else ("masked", "0") for v in values]], cell=cell)
    left = [v for v in values if v]
    cut = draw.grid([[("cached", f"{v:.0f}") for v in left]], cell=cell)
    total = sum(v * v for v in values)

    def beside(part: Part, count: int, role: str) -> Part:
        return draw.row(part, draw.box(f"{total:.0f} / {count} = {total / count:.1f}", role=role), gap=14)

    return [
        Sheet(
            draw.column(
                draw.titled(beside(masked, len(values), "rejected"), "with masks: d features"),
                draw.titled(beside(cut, len(left), "accepted"), "cut out: n features"),
                gap=18,
                align="start",
            )
        )
    ]
