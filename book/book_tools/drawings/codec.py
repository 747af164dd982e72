"""Chapter 19: a codec's stages, residual books, causal convolutions, losses, Mimi's split, a shrinking interval."""

from collections.abc import Sequence
from itertools import pairwise

from book_tools import draw
from book_tools.draw import Sheet


def scheme(rows: Sequence[tuple[str, str, str]]) -> list[Sheet]:
    """(what computes, what comes out, its shape) from sound to codes and back."""
    parts, arrows = [draw.tensor("waveform", shape="(1, 24000) a second", role="sound", width=220)], []
    for doing, out, shape in rows:
        parts.append(draw.box(doing, role="now" if "quant" in doing else "target", width=220))
        parts.append(draw.tensor(out, shape=shape, role="text" if out == "codes" else "sound", width=220))
    for a, b in pairwise(parts):
        arrows.append(draw.arrow(a, b))
    return [Sheet(draw.column(*parts, gap=18), *arrows)]


def residual_chain(books: int = 3) -> list[Sheet]:
    """Book after book: nearest vector, what is left over, and the sum that the decoder gets."""
    latents = draw.tensor("r1 = x", shape="(D,)", role="sound", width=120)
    left, nearest, arrows = [latents], [], []
    for k in range(1, books + 1):
        book = draw.box(f"book {k}", role="now", shape="(1024, D)", width=120)
        code = draw.tile(f"c{k}", "text", width=50)
        nearest.append((book, code))
        arrows += [draw.arrow(left[-1], book), draw.arrow(book, code)]
        if k < books:
            left.append(draw.tensor(f"r{k + 1} = r{k} - q{k}", shape="(D,)", role="sound", width=120))
            arrows.append(draw.arrow(left[-2], left[-1]))
    rows = [draw.row(part, book, code, gap=40) for part, (book, code) in zip(left, nearest, strict=True)]
    return [Sheet(draw.column(*rows, gap=26), *arrows)]


def causal_taps(samples: int, kernel: int, stride: int) -> list[Sheet]:
    """Which inputs each output of a causal strided convolution sees; what stands before the first sample is padding."""
    before = kernel - stride
    names = ["·"] * before + [str(i) for i in range(samples)]
    wave = [[("masked" if i < before else "sound", name) for i, name in enumerate(names)]]
    rows = [
        ["now" if t * stride <= i < t * stride + kernel else None for i in range(before + samples)]
        for t in range(samples // stride)
    ]
    outputs = [f"y{t}" for t in range(samples // stride)]
    return [Sheet(draw.grid([*wave, *rows], rows=["x", *outputs], cell=(26, 22)))]


def training() -> list[Sheet]:
    """Where each of the losses is taken, and what the balancer sees."""
    coder = draw.box("encoder, quantizer, decoder", role="trained", width=210)
    out = draw.tensor("decoded sound", shape="(B, samples)", role="sound", width=210)
    judges = draw.box("STFT discriminators", role="trained", width=190)
    names = ("time", "mel", "adversarial", "features")
    losses = draw.row(*[draw.tile(name, "picture" if name in names[2:] else "accepted") for name in names], gap=8)
    balancer = draw.box("balancer: every gradient at its share", role="now", width=270)
    column = draw.column(coder, out, judges, losses, balancer, gap=26)
    arrows = [draw.arrow(a, b) for a, b in ((coder, out), (out, judges), (judges, losses), (losses, balancer))]
    back = draw.arrow(balancer, out, leave="right", enter="right", dashed=True)
    return [Sheet(draw.row(column, draw.space(60)), *arrows, back)]


def split() -> list[Sheet]:
    """Mimi: one latent, two quantizers side by side, and a teacher for the first."""
    latent = draw.tensor("latent, 12.5 Hz", shape="(512,)", role="sound", width=150)
    semantic = draw.box("semantic book", role="now", shape="(2048, 256)", width=150)
    acoustic = draw.box("7 acoustic books", role="target", shape="7 x (2048, 256)", width=170)
    teacher = draw.box("WavLM", role="frozen", width=150)
    total = draw.tensor("sum", shape="(512,)", role="sound", width=150)
    pair = draw.row(semantic, acoustic, gap=40)
    column = draw.column(latent, pair, total, gap=34)
    whole = draw.column(teacher, column, gap=30)
    arrows = [draw.arrow(latent, semantic), draw.arrow(latent, acoustic)]
    arrows += [draw.arrow(semantic, total), draw.arrow(acoustic, total)]
    arrows.append(draw.arrow(teacher, semantic, leave="left", enter="left", role="frozen", dashed=True))
    return [Sheet(draw.row(draw.space(70), whole), *arrows)]


def intervals(steps: Sequence[tuple[str, Sequence[float], int]]) -> list[Sheet]:
    """(symbol, probabilities, its number) one under the other: the interval, and the part that each step keeps."""
    low, high, rows = 0.0, 1.0, {}
    for i, (name, probs, chosen) in enumerate(steps):
        edges = [sum(probs[:k]) for k in range(len(probs) + 1)]
        spans = [
            (low + (high - low) * a, low + (high - low) * b, "", "now" if k == chosen else "plain")
            for k, (a, b) in enumerate(pairwise(edges))
        ]
        rows[f"{i + 1}: {name}"] = spans
        low, high = spans[chosen][0], spans[chosen][1]
    return [Sheet(draw.lanes(rows, width=380, axis="0 .. 1"))]
