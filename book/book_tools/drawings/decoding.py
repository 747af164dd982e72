"""Chapter 1: passes and phases, the cache and its blocks, batches, the roofline's two times."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from book_tools import draw
from book_tools.draw import Part, Sheet


def phases(prompt: Sequence[str], written: Sequence[str], ttft_ms: float, tpot_ms: float) -> list[Sheet]:
    """The tokens of an answer, and the passes that read and wrote them on a time line of measured lengths."""
    text = draw.row(
        draw.bracket(draw.tokens(prompt, "text"), f"prompt, $p$ = {len(prompt)} tokens"),
        draw.bracket(draw.tokens(written, "accepted"), f"decoded, $k$ = {len(written)} tokens"),
        gap=12,
    )
    starts = [ttft_ms + i * tpot_ms for i in range(len(written) - 1)]
    decodes = [(t, t + tpot_ms, "TPOT" if t == ttft_ms else "", "accepted") for t in starts]
    line = draw.lanes({"passes": [(0.0, ttft_ms, "prefill: TTFT", "text"), *decodes]}, width=430)
    return [Sheet(draw.column(text, line, gap=24))]


def passes(words: Sequence[str], last: str) -> list[Sheet]:
    """One pass over known tokens beside as many passes that wait for each other."""
    known, model = draw.tokens(words, "text", width=60), draw.box("decoder, $L$ layers", role="target", width=270)
    logits = draw.tokens(["logits"] * len(words), width=60)
    stack = draw.column(known, model, logits, gap=26)
    one = Sheet(
        draw.titled(stack, "one pass over $k$ known tokens: $L$ steps", gap=10),
        *[draw.arrow(token, model) for token in known],
        *[draw.arrow(model, row) for row in logits],
    )
    each = [
        draw.column(draw.tile(a, "text"), draw.box("$L$ layers", role="target"), draw.tile(b, "accepted"), gap=26)
        for a, b in zip(words, [*words[1:], last], strict=True)
    ]
    many = Sheet(
        draw.titled(draw.row(*each, gap=26), "$k$ passes, each waits for the last: $kL$ steps", gap=10),
        *[draw.arrow(one_pass[i], one_pass[i + 1]) for one_pass in each for i in (0, 1)],
        *[draw.arrow(a[2], b[0], leave="right", enter="left", dashed=True) for a, b in pairwise(each)],
    )
    return [one, many]


def tokens_read(prompt: int, new: int) -> tuple[list[list[str | None]], list[list[str | None]]]:
    """The tokens of each pass, without and with a cache: read "now", "cached", or not there."""
    without = [["now"] * (prompt + i) + [None] * (new - 1 - i) for i in range(new)]
    cached = [
        ["cached"] * (prompt + i - 1) * (i > 0) + ["now"] * (1 if i else prompt) + [None] * (new - 1 - i)
        for i in range(new)
    ]
    return without, cached


def cache_grows(words: Sequence[str], prompt: int) -> list[Sheet]:
    """Pass by pass, the tokens that are read: all of them again, or only the new one behind a cache."""
    new = len(words) - prompt + 1
    rows = [f"pass {i + 1}" for i in range(new)]
    names = ("without a cache", "with a KV cache")
    return [
        Sheet(draw.titled(draw.grid(cells, rows=rows, columns=words, cell=(38, 24)), name, gap=6))
        for name, cells in zip(names, tokens_read(prompt, new), strict=True)
    ]


def shared_heads(num_heads: int = 8, kinds: Mapping[str, int] | None = None) -> list[Sheet]:
    """Query heads over the key-value heads that they share, for each kind of attention."""
    kinds = kinds or {"multi-head": num_heads, "grouped-query": 2, "multi-query": 1}
    sheets = []
    for name, num_kv_heads in kinds.items():
        group = num_heads // num_kv_heads
        queries = draw.row(*[draw.tile("q", "text", 24) for _ in range(num_heads)], gap=4)
        heads = [draw.tile("kv", "cached", 24) for _ in range(num_kv_heads)]
        stored = Part(queries.width, 24, parts=[
            (head, queries[i * group].width / 2 + (i + (1 - 1 / group) / 2) * group * 28 - head.width / 2, 0)
            for i, head in enumerate(heads)
        ])  # fmt: skip
        part = draw.titled(draw.column(queries, stored, gap=36), f"{name}: $H_{{kv}} = {num_kv_heads}$", gap=8)
        sheets.append(Sheet(part, *[draw.arrow(queries[i], heads[i // group], enter="top") for i in range(num_heads)]))
    return sheets


def block_table(blocks: Mapping[str, Sequence[int]], lengths: Mapping[str, int], size: int, total: int) -> list[Sheet]:
    """Sequences as a reader sees them, their block tables, and the memory in which the blocks lie."""
    look = dict(zip(blocks, ("text", "picture"), strict=True))
    owner = {block: (name, i) for name, owned in blocks.items() for i, block in enumerate(owned)}

    def cells(name: str, i: int) -> list[tuple[str, str]]:
        first = i * size
        here = [(look[name], f"{name}{t}") for t in range(first, min(first + size, lengths[name]))]
        return here + [("unused", "")] * (size - len(here))

    rows = [cells(*owner[i]) if i in owner else [("unused", "")] * size for i in range(total)]
    blocks_of_memory = [draw.grid([line], cell=(34, 24)) for line in rows]
    memory = draw.column(
        *[draw.row(block, draw.label(f"block {i}"), gap=8) for i, block in enumerate(blocks_of_memory)], gap=3
    )
    tables = {
        name: draw.column(*[draw.tile(str(block), look[name], 34) for block in owned], gap=2)
        for name, owned in blocks.items()
    }
    left_side = draw.column(
        *[
            draw.row(draw.label(f"sequence {name}", f"{lengths[name]} tokens"), table, gap=10)
            for name, table in tables.items()
        ],
        gap=30,
    )
    arrows = [
        draw.arrow(tables[name][i], blocks_of_memory[block], leave="right", enter="left", role=look[name])
        for name, owned in blocks.items()
        for i, block in enumerate(owned)
    ]
    picture = draw.row(
        draw.titled(left_side, "block tables", gap=10), draw.titled(memory, "memory", gap=10), gap=44, align="start"
    )
    return [Sheet(picture, *arrows)]


def eight_bits(numbers: Sequence[float], scale: float, codes: Sequence[int]) -> list[Sheet]:
    """A few numbers of a row, their codes, and what the codes give back."""
    rows = {
        "float32, 4 bytes": [f"{x:.3f}" for x in numbers],
        "code, 1 byte": [str(c) for c in codes],
        "scale times code": [f"{scale * c:.3f}" for c in codes],
    }
    looks = ("plain", "cached", "accepted")
    width = max(draw.tile(text).width for texts in rows.values() for text in texts)
    lines = [
        draw.beside(name, draw.tokens(texts, look, width=width), width=112)
        for (name, texts), look in zip(rows.items(), looks, strict=True)
    ]
    arrows = [
        draw.arrow(a, b) for upper, lower in pairwise(lines)
        for a, b in zip(upper[1], lower[1], strict=True)
    ]  # fmt: skip
    return [Sheet(draw.column(*lines, gap=24, align="end"), *arrows)]


def two_times(works: Mapping[str, tuple[float, float]]) -> list[Sheet]:
    """For each piece of work the time to move its bytes and the time to compute: (bytes_ms, flops_ms)."""
    scale = 300 / max(max(times) for times in works.values())
    groups = []
    for name, (moving, computing) in works.items():
        times = _time("move", moving, "cached", scale), _time("compute", computing, "target", scale)
        groups.append(draw.titled(draw.column(*times, gap=4, align="start"), name, align="start"))
    return [Sheet(draw.column(*groups, gap=16, align="start"))]


def _time(name: str, ms: float, role: str, scale: float) -> Part:
    bar = draw.span("", role, max(2, ms * scale), 20)
    return draw.beside(name, draw.row(bar, draw.label(f"{ms:.2f} ms"), gap=6), 62)
