"""Chapter 4: memories and processors, tiles of the scores, the running softmax, keys that are split."""

from collections.abc import Mapping, Sequence

from book_tools import draw
from book_tools.draw import Part, Sheet


def memories(rows: Sequence[tuple[str, str, str]]) -> list[Sheet]:
    """The pyramid of memories from the fastest down, each with its size and its speed."""
    names = draw.row(
        draw.space(216), draw.label("size", bold=True), draw.space(22), draw.label("speed", bold=True), gap=0
    )
    return [Sheet(draw.column(names, draw.levels(rows), gap=4, align="start"))]


def processor(num_sms: int, sram_kb: int, hbm: str) -> list[Sheet]:
    """A GPU: streaming multiprocessors with warps, tensor cores and fast memory, over one large slow memory."""

    def multiprocessor(name: str) -> Part:
        warps = draw.row(*[draw.box("warp", role="now", width=44) for _ in range(2)], gap=6)
        cores = draw.row(*[draw.box("tensor", "core", role="target", width=52) for _ in range(2)], gap=6)
        memory = draw.tensor("SRAM: shared", f"{sram_kb} kB", "cached", width=112)
        return draw.frame(draw.column(warps, cores, memory, gap=6), name)

    first, second = multiprocessor("SM 1"), multiprocessor("SM 2")
    rest = draw.label(f"... SM {num_sms}")
    units = draw.row(first, second, rest, gap=12)
    cache, large = (
        draw.tensor("L2 cache", role="cached", width=360),
        draw.tensor(f"HBM, {hbm}", role="plain", width=360),
    )
    arrows = [draw.arrow(sm, cache, both=True) for sm in (first, second)] + [draw.arrow(cache, large, both=True)]
    return [Sheet(draw.column(units, cache, large, gap=30), *arrows)]


def traffic(steps: Sequence[tuple[str, Sequence[str], str]], fused: tuple[str, Sequence[str], str]) -> list[Sheet]:
    """What each step reads from slow memory and writes back, and what one fused kernel does: (step, reads, writes)."""
    return [
        Sheet(draw.titled(_traffic(steps), "four steps, one after the other", gap=8)),
        Sheet(draw.titled(_traffic([fused]), "one kernel with tiles", gap=8)),
    ]


def _traffic(steps: Sequence[tuple[str, Sequence[str], str]]) -> Part:
    rows = []
    for name, reads, writes in steps:
        tiles = [_matrix(x) for x in reads]
        inputs = draw.column(*tiles, gap=2)
        step = draw.box(name, role="now", width=100)
        rows.append(draw.row(draw.label("read"), inputs, step, draw.label("write"), _matrix(writes), gap=8))
    return draw.column(*rows, gap=12, align="end")


def _matrix(name: str) -> Part:
    """A matrix between the memories: that of the scores is large."""
    large = name in ("S", "S / √d", "P")
    return draw.tensor(name, role="draft" if large else "cached", width=66, height=44 if large else 22)


def tiles(num_rows: int, num_columns: int, steps: Sequence[tuple[int, int]], causal: bool = False) -> list[Sheet]:
    """The scores cut into tiles, and which of them lies in fast memory at each of a few steps (row, column)."""
    sheets = []
    for at in steps:
        cells = [[_tile(at, i, j, causal) for j in range(num_columns)] for i in range(num_rows)]
        names = [f"Q{i + 1}" for i in range(num_rows)]
        queries = draw.tokens(names, _loaded(num_rows, at[0]), width=34, down=True, gap=4)
        keys = draw.tokens([f"K{j + 1}" for j in range(num_columns)], _loaded(num_columns, at[1]), width=30, gap=2)
        scores = draw.grid(cells, cell=(32, 28))
        body = draw.row(queries, draw.column(keys, scores, gap=6, align="start"), gap=8, align="end")
        sheets.append(Sheet(draw.titled(body, f"block {at[0] + 1} of queries, tile {at[1] + 1} of keys", gap=8)))
    return sheets


def _loaded(count: int, now: int) -> list[str]:
    return ["now" if i == now else "plain" for i in range(count)]


def _tile(at: tuple[int, int], i: int, j: int, causal: bool) -> str:
    if causal and j > i:
        return "masked"
    return "now" if (i, j) == at else "accepted" if (i, j) < at else "unused"


def running_softmax(scores: Sequence[float], steps: Sequence[Mapping[str, float]]) -> list[Sheet]:
    """The scores of a row, tile by tile, over what is kept after each: the maximum, the factor, the sum, the output."""
    width = len(scores) // len(steps) * 31
    tiles = [[("text", _number(s, 1)) for s in scores[int(at["start"]) : int(at["stop"])]] for at in steps]
    top = draw.row(*[draw.grid([tile], cell=(31, 26), mono=False) for tile in tiles], gap=6)
    names = {"m": "$m$", "shrink": "factor", "l": "$l$", "a": "$a$", "out": "$a / l$"}
    looks = {"m": "cached", "shrink": "draft", "l": "cached", "a": "cached", "out": "accepted"}
    lines = []
    for key, name in names.items():
        texts = ["–" if key == "shrink" and i == 0 else _number(step[key], 2) for i, step in enumerate(steps)]
        line = draw.row(*[draw.tile(text, looks[key], width) for text in texts], gap=6)
        lines.append(draw.beside(name, line, 50))
    return [Sheet(draw.column(draw.beside("scores", top, 50), *lines, gap=6, align="start"))]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def split_keys(parts: Sequence[str], merged: str) -> list[Sheet]:
    """One query, its keys cut into parts, a multiprocessor for each, and the merge."""
    query = draw.tensor("one query", "(1, D)", "now", width=100)
    keys = [draw.tensor(name, role="cached", width=86) for name in parts]
    units = [draw.box(f"SM {i + 1}", role="target", width=86) for i in range(len(parts))]
    outs = [draw.tensor(f"$O_{i + 1}, L_{i + 1}$", role="accepted", width=86) for i in range(len(parts))]
    columns = [draw.column(*three, gap=22) for three in zip(keys, units, outs, strict=True)]
    merge, result = draw.box(merged, role="target"), draw.tensor("$O, L$", role="accepted", width=86)
    arrows = [draw.arrow(query, k, leave="bottom", enter="top", dashed=True) for k in keys]
    for k, u, o in zip(keys, units, outs, strict=True):
        arrows += [draw.arrow(k, u), draw.arrow(u, o), draw.arrow(o, merge, leave="bottom", enter="top")]
    picture = draw.column(query, draw.row(*columns, gap=16), merge, result, gap=28)
    return [Sheet(picture, *arrows, draw.arrow(merge, result))]


def patterns(masks: Mapping[str, Sequence[Sequence[bool]]], cell: float = 9) -> list[Sheet]:
    """Who sees whom under several methods, each a grid."""
    return [
        Sheet(
            draw.titled(draw.grid([[0.8 * bool(x) for x in row] for row in mask], cell=cell, role="now"), name, gap=6)
        )
        for name, mask in masks.items()
    ]
