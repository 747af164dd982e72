"""Chapter 15: from air to numbers, frames, butterflies, filters, cepstra, phases, and patches of a spectrogram."""

import math
from collections.abc import Sequence
from itertools import pairwise, product

from book_tools import draw
from book_tools.draw import Sheet


def pipeline(stages: Sequence[tuple[str, str, str]]) -> list[Sheet]:
    """(what is done, what comes out, its shape) from the waveform down."""
    parts = []
    for doing, out, shape in stages:
        if doing:
            parts.append(draw.box(doing, role="target", width=180))
        parts.append(draw.tensor(out, shape=shape, role="sound", width=230))
    return [Sheet(draw.column(*parts, gap=22), *[draw.arrow(a, b) for a, b in pairwise(parts)])]


def frames(samples: int, length: int, hop: int, half: int) -> list[Sheet]:
    """Which samples each frame holds, the mirrored ones at the ends among them; a sample is a cell."""
    padded = samples + 2 * half
    count = 1 + (padded - length) // hop
    names = [str(abs(i - half) if i < half else i - half) for i in range(half + samples)]
    names += [str(samples - 2 - i) for i in range(half)]
    wave = [[("masked" if i < half or i >= half + samples else "sound", name) for i, name in enumerate(names)]]
    rows = [["now" if t * hop <= i < t * hop + length else None for i in range(padded)] for t in range(count)]
    cells = draw.grid([*wave, *rows], rows=["x", *[f"frame {t}" for t in range(count)]], cell=(24, 22))
    return [Sheet(cells)]


def butterfly(length: int = 8) -> list[Sheet]:
    """The order in which halving takes the samples, and how a transform of N is two of N / 2."""
    stages, current = [], list(range(length))
    blocks = [current]
    while len(blocks[0]) > 1:
        stages.append(blocks)
        blocks = [part for block in blocks for part in (block[::2], block[1::2])]
    stages.append(blocks)
    rows = []
    for level, groups in enumerate(stages):
        roles = ["text", "picture"]
        look = [roles[g % 2] if level else "sound" for g in range(len(groups))]
        tiles = [draw.tokens([f"x{n}" for n in group], role) for group, role in zip(groups, look, strict=True)]
        name = f"{len(groups)} of {len(groups[0])}"
        rows.append(draw.beside(name, draw.row(*tiles, gap=12 if level < len(stages) - 1 else 6), width=44))
    return [Sheet(draw.column(*rows, gap=16, align="start"))]


def filters(matrix: Sequence[Sequence[float]], hz_per_bin: float) -> list[Sheet]:
    """The bank as the matrix that it is, each row in shades of its own largest entry."""
    highest = [max(row) or 1.0 for row in matrix]
    shades = [[value / top if value else None for value in row] for row, top in zip(matrix, highest, strict=True)]
    columns = [f"{k * hz_per_bin / 1000:.0f}k" if k % 8 == 0 else "" for k in range(len(matrix[0]))]
    rows = [f"m{m}" for m in range(len(matrix))]
    return [Sheet(draw.grid(shades, rows=rows, columns=columns, cell=(11, 18), role="sound"))]


def cepstrum(bands: int, kept: int) -> list[Sheet]:
    """A column of bands, the cosine transform, and the few coefficients that are kept."""
    log_mel = draw.tensor("log-mel frame", shape=f"({bands},)", role="sound", width=120)
    matrix = draw.box("cosine transform", role="target", shape=f"({kept}, {bands})", width=150)
    waves = [
        draw.beside(f"c{c}", draw.wave([math.cos(math.pi * c * (m + 0.5) / 40) for m in range(40)], 110, 22), width=24)
        for c in range(4)
    ]
    out = draw.tensor("MFCCs", shape=f"({kept},)", role="accepted", width=120)
    stack = draw.column(log_mel, matrix, out, gap=26)
    return [
        Sheet(stack, draw.arrow(log_mel, matrix), draw.arrow(matrix, out)),
        Sheet(draw.titled(draw.column(*waves, gap=6), "rows 0 to 3 of the matrix", gap=8)),
    ]


def phase_loop() -> list[Sheet]:
    """Griffin-Lim: a spectrum that some sound has, then the magnitudes that are asked for, in turn."""
    guess = draw.box("magnitude × phase", role="sound", width=170)
    sound = draw.tensor("waveform", shape="(samples,)", role="sound", width=170)
    again = draw.tensor("spectrum of it", shape="(bins, T)", role="sound", width=170)
    keep = draw.box("keep its phase,", "put back the magnitude", role="now", width=170)
    stack = draw.column(guess, sound, again, keep, gap=26)
    return [
        Sheet(
            stack,
            draw.arrow(guess, sound, "inverse STFT"),
            draw.arrow(sound, again, "STFT"),
            draw.arrow(again, keep),
            draw.arrow(keep, guess, leave="right", enter="right"),
        )
    ]


def patches(grid: tuple[int, int], size: int, stride: int) -> list[Sheet]:
    """Where patches begin on a corner of the spectrogram, and the row of tokens that they become."""
    down, across, shown = 2, 3, f"patches of {size} × {size}, one every {stride}"
    size, stride = size // 2, stride // 2  # a cell is two bands by two frames
    width, height = stride * (across - 1) + size, stride * (down - 1) + size
    cells: list[list[float | None]] = [[None] * width for _ in range(height)]
    for i in range(len(cells)):
        for j in range(len(cells[0])):
            corners = product(range(0, down * stride, stride), range(0, across * stride, stride))
            covered = sum(0 <= i - a < size and 0 <= j - b < size for a, b in corners)
            cells[i][j] = 0.15 + 0.2 * covered if covered else None
    picture = draw.titled(draw.grid(cells, cell=14, role="sound"), shown, gap=8)
    row = draw.tokens(["cls", "dist", "p0", "p1", "…", f"p{grid[0] * grid[1] - 1}"], ["now", "now", *["sound"] * 4])
    model = draw.box("transformer, all tokens see all", role="target", width=row.width)
    mean = draw.box("mean of cls and dist, then classes", role="accepted")
    stack = draw.column(row, model, mean, gap=26)
    return [Sheet(picture), Sheet(stack, draw.arrow(row, model), draw.arrow(model, mean))]
