"""Arrows between parts that stand somewhere in the same sheet."""

from collections.abc import Callable
from math import atan2, cos, sin

from book_tools.draw.parts import Part
from book_tools.draw.roles import paint
from book_tools.draw.text import LINE, text_svg

Arrow = Callable[[], str]
Point = tuple[float, float]
_OUT = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def arrow(
    start: Part,
    end: Part,
    words: str = "",
    *,
    leave: str = "",
    enter: str = "",
    role: str = "",
    dashed: bool = False,
    both: bool = False,
) -> Arrow:
    """An arrow from one part to another: straight where they face each other, else a curve.

    Args:
        words: beside its middle.
        leave, enter: the sides (left, right, top, bottom) where it begins and ends; chosen where they are not given.
        role: its colour; that of the text where there is none.
        dashed: something that is not there in each case, or leads back.
        both: with a head at either end.
    """

    def ink() -> str:
        first, last, sides = _ends(start, end, leave, enter)
        color = paint(role) if role else "currentColor"
        path, middle = _path(first, last, sides)
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        line = f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.4"{dash}/>'
        heads = _head(last, _OUT[sides[1]], color) + (_head(first, _OUT[sides[0]], color) if both else "")
        upright = abs(first[0] - last[0]) < abs(first[1] - last[1])
        x, y = (middle[0] + 6, middle[1]) if upright else (middle[0], middle[1] - LINE / 2 - 1)
        text = text_svg(words, x, y, anchor="start" if upright else "middle", halo=True) if words else ""
        return line + heads + text

    return ink


def _ends(start: Part, end: Part, leave: str, enter: str) -> tuple[Point, Point, tuple[str, str]]:
    """Where the arrow begins and ends, and on which sides."""
    x, y = _shared(start.x, start.width, end.x, end.width), _shared(start.y, start.height, end.y, end.height)
    down, across = ("bottom" if start.y < end.y else "top"), ("right" if start.x < end.x else "left")
    if not leave and not enter:
        leave = down if x is not None or y is None else across
        enter = _OPPOSITE[down] if x is not None else _OPPOSITE[across]
    leave, enter = leave or _OPPOSITE[enter], enter or _OPPOSITE[leave]
    first, last = _on(start, leave), _on(end, enter)
    if enter == _OPPOSITE[leave]:  # they face each other: a straight line where that is possible
        if x is not None and leave in ("top", "bottom"):
            first, last = (x, first[1]), (x, last[1])
        if y is not None and leave in ("left", "right"):
            first, last = (first[0], y), (last[0], y)
    return _beside(first, leave, 2), _beside(last, enter, 3), (leave, enter)


def _shared(a: float, length: float, b: float, other: float) -> float | None:
    """The middle of the shorter of two intervals, where it lies within the longer one."""
    middle = a + length / 2 if length <= other else b + other / 2
    low, high = (b, b + other) if length <= other else (a, a + length)
    return middle if low <= middle <= high else None


def _on(part: Part, side: str) -> Point:
    dx, dy = _OUT[side]
    return part.x + part.width * (1 + dx) / 2, part.y + part.height * (1 + dy) / 2


def _beside(point: Point, side: str, distance: float) -> Point:
    return point[0] + distance * _OUT[side][0], point[1] + distance * _OUT[side][1]


def _path(first: Point, last: Point, sides: tuple[str, str]) -> tuple[str, Point]:
    """The curve and its middle. It stays within the rectangle of both ends, unless it leaves and enters on one side."""
    across, down = abs(first[0] - last[0]), abs(first[1] - last[1])
    if sides[0] == sides[1]:
        reach = [0.5 * max(across, down)] * 2
    else:
        share = 0.5 if sides[1] == _OPPOSITE[sides[0]] else 0.7
        reach = [max(share * (across if side in ("left", "right") else down), 8) for side in sides]
    a, b = _beside(first, sides[0], reach[0]), _beside(last, sides[1], reach[1])
    middle = tuple((p + 3 * q + 3 * r + s) / 8 for p, q, r, s in zip(first, a, b, last, strict=True))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (a, b, last))
    return f"M{first[0]:.1f},{first[1]:.1f} C{points}", (middle[0], middle[1])


def _head(tip: Point, outward: Point, color: str) -> str:
    angle = atan2(-outward[1], -outward[0])
    corners = [(tip[0] - 7 * cos(angle + turn), tip[1] - 7 * sin(angle + turn)) for turn in (-0.45, 0.45)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [tip, *corners])
    return f'<polygon points="{points}" fill="{color}"/>'
