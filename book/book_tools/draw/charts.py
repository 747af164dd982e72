"""Parts that are drawn from data: grids, lanes of a time line, bars, levels of memory, waves."""

from collections.abc import Iterable, Mapping, Sequence

from book_tools.draw.parts import Part, label, rectangle, stroke
from book_tools.draw.roles import paint, role_named
from book_tools.draw.text import LINE, text_svg, text_width

Cell = bool | float | str | tuple[str, str] | None
Span = tuple[float, float, str, str]  # from, to, words, role


def grid(
    cells: Iterable[Iterable[Cell]],
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    cell: float | tuple[float, float] = 22,
    role: str = "cached",
    mono: bool = True,
) -> Part:
    """A mask, a block table, a matrix of weights, computed from data.

    Args:
        cells: rows of cells; True is in the role's colour and False masked; a number of 0 to 1 is a shade of the
            role; a text is the name of a role, a pair is (role, words in the cell), None leaves the cell out.
        rows, columns: names beside the rows and above the columns.
        cell: side of a cell, or its width and height.
        role: the role of True and of numbers.
    """
    table = [list(line) for line in cells]
    wide, high = cell if isinstance(cell, tuple) else (cell, cell)
    left = max((text_width(name, mono) + 6 for name in rows), default=0)
    top = LINE + 2 if columns else 0
    styled = [[_cell(value, role) for value in line] for line in table]

    def ink(part: Part) -> Iterable[str]:
        x0, y0 = part.x + left, part.y + top
        for j, name in enumerate(columns):
            yield text_svg(name, x0 + (j + 0.5) * wide, part.y + LINE / 2, mono=mono)
        for i, name in enumerate(rows):
            yield text_svg(name, x0 - 6, y0 + (i + 0.5) * high, mono=mono, anchor="end")
        for i, line in enumerate(styled):
            for j, entry in enumerate(line):
                if entry is None:
                    continue
                name, words, shade = entry
                x, y = x0 + j * wide, y0 + i * high
                yield rectangle(x, y, wide, high, name) if shade is None else _shade(x, y, wide, high, name, shade)
                if words:
                    yield text_svg(words, x + wide / 2, y + high / 2, mono=mono, struck=role_named(name).struck)

    size = left + wide * max(len(line) for line in table), top + high * len(table)
    used = [entry[0] for line in styled for entry in line if entry]
    return Part(*size, ink, roles=dict.fromkeys(used))


def _cell(value: Cell, role: str) -> tuple[str, str, float | None] | None:
    match value:
        case None:
            return None
        case bool():
            return (role, "", None) if value else ("masked", "", None)
        case str():
            return value, "", None
        case (name, words):
            return name, str(words), None
    return role, "", min(1.0, max(0.0, float(value)))


def _shade(x: float, y: float, wide: float, high: float, role: str, shade: float) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"'
    return (
        f'<rect {shape} fill="{paint(role)}" fill-opacity="{shade:.3f}" stroke="{paint("plain")}" stroke-width="0.5"/>'
    )


def lanes(rows: Mapping[str, Sequence[Span]], width: float = 440, height: float = 26, axis: str = "time") -> Part:
    """A time line: a lane for each name, on it spans (from, to, words, role), below them an arrow with a name.

    The spans are parts of the drawing, in the order given, lane by lane: arrows lead to `part[i]`.
    """
    left = max(text_width(name) for name in rows) + 8
    end = max(stop for spans in rows.values() for _, stop, _, _ in spans)
    scale, step = (width - left) / end, height + 8
    placed = []
    for i, spans in enumerate(rows.values()):
        for start, stop, words, role in spans:
            placed.append((span(words, role, (stop - start) * scale - 1.5, height), left + start * scale, i * step))

    def ink(part: Part) -> Iterable[str]:
        for i, name in enumerate(rows):
            y = part.y + i * step + height / 2
            yield text_svg(name, part.x + left - 8, y, anchor="end")
            yield stroke(f"M{part.x + left:.1f},{y:.1f} h{width - left:.1f}", opacity=0.25)
        if axis:
            y, stop = part.y + len(rows) * step + 6, part.x + width
            yield stroke(f"M{part.x + left:.1f},{y:.1f} H{stop:.1f} m-6,-3.5 l6,3.5 l-6,3.5")
            yield text_svg(axis, part.x + left, y + LINE / 2 + 4, anchor="start", muted=True)

    return Part(width, len(rows) * step + (LINE + 12 if axis else -8), ink, placed)


def span(words: str, role: str, width: float, height: float = 24) -> Part:
    """A bar of a given length."""

    def ink(part: Part) -> Iterable[str]:
        under = f'x="{part.x:.1f}" y="{part.y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"'
        yield f'<rect {under} fill="var(--pst-color-background, transparent)"/>'  # the lane ends at the span
        yield rectangle(part.x, part.y, width, height, role, 3)
        if words:
            yield text_svg(words, part.x + width / 2, part.y + height / 2, struck=role_named(role).struck)

    return Part(width, height, ink, roles=[role])


def bars(
    columns: Mapping[str, Sequence[tuple[float, str]]], height: float = 90, width: float = 44, highest: float = 0
) -> Part:
    """A bar for each name, of segments (value, role) from the bottom up; `highest` is the value of the full height."""
    top = highest or max(sum(value for value, _ in segments) for segments in columns.values())

    def ink(part: Part) -> Iterable[str]:
        base = part.y + height
        for j, (name, segments) in enumerate(columns.items()):
            y = base
            for value, role in segments:
                y -= value / top * height
                yield rectangle(part.x + j * width + 4, y, width - 8, value / top * height, role)
            yield text_svg(name, part.x + (j + 0.5) * width, base + LINE / 2 + 3, mono=True)
        yield stroke(f"M{part.x:.1f},{base:.1f} h{width * len(columns):.1f}")

    used = [role for segments in columns.values() for value, role in segments if value]
    return Part(width * len(columns), height + LINE + 4, ink, roles=dict.fromkeys(used))


def levels(rows: Sequence[tuple[str, str, str]], width: float = 200, step: float = 44, role: str = "cached") -> Part:
    """A pyramid of memories from the fastest down: (name, size, speed), the name in the pyramid, the rest beside it."""
    top, sizes = 70, max(text_width(size) for _, size, _ in rows) + 24

    def ink(part: Part) -> Iterable[str]:
        middle = part.x + width / 2
        for i, (name, size, speed) in enumerate(rows):
            upper, lower = ((top + (width - top) * k / len(rows)) / 2 for k in (i, i + 1))
            y = part.y + i * step
            base = f"L{middle + lower:.1f},{y + step - 3:.1f} h{-2 * lower:.1f} z"
            corners = f"M{middle - upper:.1f},{y:.1f} h{2 * upper:.1f} {base}"
            tint = 0.4 - 0.3 * i / len(rows)
            yield f'<path d="{corners}" fill="{paint(role)}" fill-opacity="{tint:.2f}" stroke="{paint(role)}"/>'
            yield text_svg(name, middle, y + step / 2, bold=True)
            yield text_svg(size, part.x + width + 16, y + step / 2, anchor="start")
            yield text_svg(speed, part.x + width + sizes + 16, y + step / 2, anchor="start")

    speeds = max(text_width(speed) for _, _, speed in rows)
    return Part(width + 16 + sizes + speeds, step * len(rows), ink)


def wave(samples: Sequence[float], width: float = 200, height: float = 50, role: str = "sound") -> Part:
    """A signal over time, its largest sample at the edge."""
    highest = max(abs(value) for value in samples) or 1.0

    def ink(part: Part) -> Iterable[str]:
        step, middle = width / max(1, len(samples) - 1), part.y + height / 2
        points = " ".join(
            f"{part.x + i * step:.1f},{middle - value / highest * height / 2:.1f}" for i, value in enumerate(samples)
        )
        yield stroke(f"M{part.x:.1f},{middle:.1f} h{width:.1f}", opacity=0.3)
        yield stroke(f"M{points}", role, 1.4)

    return Part(width, height, ink, roles=[role])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Part:
    """Words in columns, the header bold, for a table inside a drawing; a table of results is a table of the page."""
    lines = [list(header), *map(list, rows)]
    widths = [max(text_width(str(line[j]), bold=True) for line in lines) + 14 for j in range(len(header))]
    placed = [
        (label(str(words), bold=i == 0), sum(widths[:j]), i * (LINE + 4))
        for i, line in enumerate(lines)
        for j, words in enumerate(line)
    ]
    return Part(sum(widths), len(lines) * (LINE + 4), parts=placed)
