"""Chapter 16: CTC's paths, prefixes that grow, a conformer block, Whisper's tokens, where language models come in."""

from collections.abc import Sequence
from itertools import pairwise

from book_tools import draw
from book_tools.draw import Sheet


def collapsing(paths: Sequence[tuple[str, str]]) -> list[Sheet]:
    """(path, a character a frame, "–" the blank; its transcript): several paths, one transcript."""
    rows = []
    for path, transcript in paths:
        roles = ["masked" if c == "–" else "text" for c in path]
        rows.append(
            draw.row(draw.tokens(list(path), roles, width=26), draw.tile(transcript, "accepted", width=60), gap=50)
        )
    arrows = [draw.arrow(row[0], row[1]) for row in rows]
    return [Sheet(draw.column(*rows, gap=12, align="start"), *arrows)]


def trellis(states: Sequence[str], num_frames: int) -> list[Sheet]:
    """Which nodes can be reached from the start and reach the end, and the three ways into one of them."""
    size, cells = len(states), []
    for s, state in enumerate(states):
        row = []
        for t in range(num_frames):
            reached = s <= 2 * t + 1 and size - 1 - s <= 2 * (num_frames - 1 - t) + 1
            now = (t == 3 and s in (1, 2, 3)) or (t == 4 and s == 3)
            row.append(("now" if now else ("masked" if state == "–" else "text") if reached else "unused", ""))
        cells.append(row)
    return [Sheet(draw.grid(cells, rows=list(states), columns=[str(t) for t in range(num_frames)], cell=(34, 24)))]


def prefixes(rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> list[Sheet]:
    """(prefix, [(what the frame says, what the prefix becomes)])."""
    parts, arrows = [], []
    for prefix, ways in rows:
        begin = draw.tile(prefix, "text", width=60)
        ends = [draw.row(draw.label(said), draw.tile(becomes, "now", width=60), gap=10) for said, becomes in ways]
        parts.append(draw.row(begin, draw.column(*ends, gap=8, align="end"), gap=60))
        arrows += [draw.arrow(begin, end[0]) for end in ends]
    return [Sheet(draw.column(*parts, gap=22), *arrows)]


def conformer() -> list[Sheet]:
    """The block from bottom to top, its half steps and its residual sums."""
    names = [
        ("x", "(B, T, d)", "sound"),
        ("+ half of a feed-forward layer", "d to 4d to d", "target"),
        ("+ self-attention with relative positions", "T x T", "now"),
        ("+ convolution: pointwise, GLU, depthwise, norm, Swish", "kernel 31", "trained"),
        ("+ half of a feed-forward layer", "d to 4d to d", "target"),
        ("layer norm", "(B, T, d)", "sound"),
    ]
    parts = [draw.box(name, role=role, shape=shape, width=330) for name, shape, role in names]
    return [Sheet(draw.column(*parts, gap=18), *(draw.arrow(a, b) for a, b in pairwise(parts)))]


def whisper(tokens: Sequence[tuple[str, str]]) -> list[Sheet]:
    """An encoder of 30 s, and (token, role) that its decoder writes."""
    mel = draw.tensor("log-mel, 30 s", shape="(80, 3000)", role="sound", width=130)
    encoder = draw.box("encoder", role="target", shape="(1500, d)", width=110)
    decoder = draw.box("decoder", role="target", width=110)
    parts = [tokens[i : i + 3] for i in range(0, len(tokens), 3)]
    lines = [draw.row(*(draw.tile(text, role) for text, role in part), gap=4) for part in parts]
    written = draw.column(*lines, gap=6)
    arrows = [draw.arrow(mel, encoder), draw.arrow(encoder, decoder)]
    arrows.append(draw.arrow(decoder, written, leave="bottom", enter="top"))
    return [Sheet(draw.column(draw.row(mel, encoder, decoder, gap=34), written, gap=36), *arrows)]


def language_models() -> list[Sheet]:
    """Where a language model can be asked: in the search, or over its list."""
    sound = draw.tensor("log p of labels", shape="(T, V)", role="sound", width=160)
    search = draw.box("prefix beam search", role="now", width=160)
    best = draw.tensor("n best", shape="n transcripts", role="text", width=160)
    again = draw.box("rescoring", role="now", width=160)
    small = draw.box("n-gram", role="trained", width=130)
    large = draw.box("BERT, transformer", role="trained", width=130)
    rows = [
        draw.row(sound, draw.space(230), gap=0),
        draw.row(search, draw.space(100), small, gap=0),
        draw.row(best, draw.space(230), gap=0),
        draw.row(again, draw.space(100), large, gap=0),
    ]
    arrows = [draw.arrow(a, b) for a, b in ((sound, search), (search, best), (best, again))]
    arrows += [draw.arrow(small, search, "each label"), draw.arrow(large, again, "each text")]
    return [Sheet(draw.column(*rows, gap=34, align="start"), *arrows)]
