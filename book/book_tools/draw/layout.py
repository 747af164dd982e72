"""How parts stand to each other: side by side, one under the other, in a frame, over a bracket."""

from collections.abc import Iterable, Sequence

from book_tools.draw.parts import PAD, Part, label, rectangle, stroke, tile
from book_tools.draw.text import LINE, text_svg, text_width

_SHARE = {"start": 0.0, "middle": 0.5, "end": 1.0}


def row(*parts: Part, gap: float = 14, align: str = "middle") -> Part:
    """Parts from left to right; align: start (their tops), middle or end."""
    height, x, placed = max(part.height for part in parts), 0.0, []
    for part in parts:
        placed.append((part, x, (height - part.height) * _SHARE[align]))
        x += part.width + gap
    return Part(x - gap, height, parts=placed)


def column(*parts: Part, gap: float = 14, align: str = "middle") -> Part:
    """Parts from top to bottom; align: start (their left sides), middle or end."""
    width, y, placed = max(part.width for part in parts), 0.0, []
    for part in parts:
        placed.append((part, (width - part.width) * _SHARE[align], y))
        y += part.height + gap
    return Part(width, y - gap, parts=placed)


def tokens(
    texts: Iterable[object], roles: str | Sequence[str] = "plain", gap: float = 3, width: float = 0, down: bool = False
) -> Part:
    """Tiles of one width in a row (or down a column); one role for all of them, or one each."""
    words = [str(text) for text in texts]
    each = [roles] * len(words) if isinstance(roles, str) else list(roles)
    width = max([width, *(tile(word).width for word in words)])
    tiles = [tile(word, role, width) for word, role in zip(words, each, strict=True)]
    return column(*tiles, gap=gap) if down else row(*tiles, gap=gap)


def frame(part: Part, title: str, role: str = "plain", pad: float = 10) -> Part:
    """A part in a frame, the title above it in bold."""
    width = max(part.width, text_width(title, bold=True)) + 2 * pad
    height = part.height + LINE + 2 * pad

    def ink(frame_: Part) -> Iterable[str]:
        yield rectangle(frame_.x, frame_.y, width, height, role, 7)
        yield text_svg(title, frame_.x + width / 2, frame_.y + pad / 2 + LINE / 2, bold=True)

    return Part(width, height, ink, [(part, (width - part.width) / 2, LINE + pad)], [role])


def titled(part: Part, *lines: str, gap: float = 4, align: str = "middle") -> Part:
    """A part under words that say what it is."""
    return column(label(*lines, align=align), part, gap=gap, align=align)


def bracket(part: Part, words: str, muted: bool = False) -> Part:
    """A part over a bracket as wide as it is, and what the bracket says."""
    width = max(part.width, text_width(words))
    left = (width - part.width) / 2

    def ink(group: Part) -> Iterable[str]:
        x, y = group.x + left, group.y + part.height + 4
        yield stroke(f"M{x:.1f},{y:.1f} v5 h{part.width:.1f} v-5")
        yield text_svg(words, group.x + width / 2, y + 8 + LINE / 2, muted=muted)

    return Part(width, part.height + 12 + LINE, ink, [(part, left, 0)])


def beside(words: str, part: Part, width: float = 0) -> Part:
    """A row with its name on the left, the names of several rows ending at one line where `width` is the same."""
    name = label(words, align="end")
    return row(Part(max(width, name.width), name.height, parts=[(name, max(0, width - name.width), 0)]), part, gap=PAD)
