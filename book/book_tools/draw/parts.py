"""The pieces of a drawing. A part knows its size, is given its place by what it stands in, and then draws itself."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from book_tools.draw.roles import paint, role_named
from book_tools.draw.text import LINE, text_svg, text_width

PAD = 8


class Part:
    """A rectangle with something in it, and parts inside, each at an offset from its upper left corner.

    Args:
        width, height: its size in units; a sheet is at most MAX_WIDTH wide.
        ink: called with the part, once it has its place; gives the SVG of what is not a part of its own.
        parts: (part, x, y) for each part inside.
    """

    def __init__(
        self,
        width: float,
        height: float,
        ink: Callable[["Part"], Iterable[str]] = lambda _: (),
        parts: Iterable[tuple["Part", float, float]] = (),
        roles: Iterable[str] = (),
    ):
        self.width, self.height, self.ink, self.parts = width, height, ink, list(parts)
        self.roles, self.x, self.y = list(roles), 0.0, 0.0

    @property
    def inside(self) -> list["Part"]:
        """The parts in it, in order: the tiles of `tokens`, the spans of `lanes`."""
        return [part for part, _, _ in self.parts]

    def __getitem__(self, index: int) -> "Part":
        return self.inside[index]

    def __iter__(self) -> Iterator["Part"]:
        return iter(self.inside)

    def place(self, x: float, y: float) -> None:
        self.x, self.y = x, y
        for part, dx, dy in self.parts:
            part.place(x + dx, y + dy)

    def svg(self) -> str:
        return "".join([*self.ink(self), *(part.svg() for part, _, _ in self.parts)])

    def all_roles(self) -> list[str]:
        """The roles in it, each once, in the order in which they are drawn."""
        inside = [role for part, _, _ in self.parts for role in part.all_roles()]
        return list(dict.fromkeys([*self.roles, *inside]))


def rectangle(x: float, y: float, width: float, height: float, role: str, radius: float = 0) -> str:
    """The outline and the tint of a role."""
    look, color = role_named(role), paint(role)
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}"'
    fill = "url(#hatch)" if look.hatched else color
    opacity = 1 if look.hatched else look.tint
    return f'<rect {shape} fill="{fill}" fill-opacity="{opacity}" stroke="{color}" stroke-width="{look.stroke}"{dash}/>'


def stroke(path: str, role: str = "", width: float = 1.2, opacity: float = 1) -> str:
    """A line along an SVG path, in a role's colour or the text's."""
    color = paint(role) if role else "currentColor"
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width}" opacity="{opacity}"/>'


def label(*lines: str, mono: bool = False, bold: bool = False, muted: bool = False, align: str = "middle") -> Part:
    """Lines of text without a frame. align: start, middle or end."""
    width = max(text_width(line, mono, bold) for line in lines)

    def ink(part: Part) -> Iterable[str]:
        x = part.x + {"start": 0, "middle": width / 2, "end": width}[align]
        for i, line in enumerate(lines):
            y = part.y + (i + 0.5) * LINE
            yield text_svg(line, x, y, anchor=align, mono=mono, bold=bold, muted=muted)

    return Part(width, LINE * len(lines), ink)


def space(width: float = 0, height: float = 0) -> Part:
    """Nothing, of a size."""
    return Part(width, height)


def box(
    *lines: str, role: str = "plain", shape: str = "", width: float = 0, height: float = 0, radius: float = 7
) -> Part:
    """Something that computes: rounded, its name in one or more lines, the shape of what it holds in monospace."""
    return _framed(lines, role, shape, width, height, radius)


def tensor(name: str, shape: str = "", role: str = "plain", width: float = 0, height: float = 0) -> Part:
    """Something that is computed with: square corners, its name, its shape in monospace."""
    return _framed([name] if name else [], role, shape, width, height, 0)


def visible(text: str) -> str:
    """The text with its spaces and line ends to be seen."""
    return text.replace("\n", "⏎").replace(" ", "␣")


def tile(text: str, role: str = "plain", width: float = 0, height: float = 24) -> Part:
    """A token: monospace, its spaces visible."""
    shown = visible(text)
    struck = role_named(role).struck
    width = max(width, text_width(shown, mono=True) + PAD)

    def ink(part: Part) -> Iterable[str]:
        yield rectangle(part.x, part.y, width, height, role, 3)
        yield text_svg(shown, part.x + width / 2, part.y + height / 2, mono=True, struck=struck)

    return Part(width, height, ink, roles=[role])


def _framed(lines: Sequence[str], role: str, shape: str, width: float, height: float, radius: float) -> Part:
    needed = [text_width(line) for line in lines] + [text_width(shape, mono=True)]
    width = max(width, max(needed) + 2 * PAD)
    rows = len(lines) + bool(shape)
    height = max(height, rows * LINE + PAD)

    def ink(part: Part) -> Iterable[str]:
        yield rectangle(part.x, part.y, width, height, role, radius)
        middle, top = part.x + width / 2, part.y + (height - rows * LINE) / 2
        for i, line in enumerate(lines):
            yield text_svg(line, middle, top + (i + 0.5) * LINE, halo=role_named(role).hatched)
        if shape:
            yield text_svg(shape, middle, top + (len(lines) + 0.5) * LINE, mono=True, halo=role_named(role).hatched)

    return Part(width, height, ink, roles=[role])
