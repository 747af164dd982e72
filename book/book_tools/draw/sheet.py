"""From parts to a figure of the page: inline SVG with a title and a description, a legend and a numbered caption."""

import hashlib
import html
import math
from collections.abc import Mapping

from book_tools.captions import display_figure
from book_tools.draw.arrows import Arrow
from book_tools.draw.parts import Part
from book_tools.draw.roles import ROLES, paint, role_named
from book_tools.draw.text import MAX_WIDTH, SIZE

_MARGIN = 4
_SCALE = 1.15  # px a unit where there is room
_HATCH = (
    '<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0,0 v6" stroke="{color}" stroke-width="1.6" opacity="0.55"/></pattern>'
)


class Sheet:
    """A part with arrows over it: one drawing, or one of several that stand side by side where there is room."""

    def __init__(self, part: Part, *arrows: Arrow):
        if part.width > MAX_WIDTH - 2 * _MARGIN:
            raise ValueError(f"the drawing is {part.width:.0f} wide, the most is {MAX_WIDTH - 2 * _MARGIN}")
        part.place(_MARGIN, _MARGIN)
        self.part, self.arrows = part, arrows

    def svg(self, names: str) -> str:
        """Its `svg` element. names: attributes that say what it shows."""
        body = self.part.svg() + "".join(draw_arrow() for draw_arrow in self.arrows)
        hatch = f"h{hashlib.sha256(body.encode()).hexdigest()[:8]}"
        if "url(#hatch)" in body:
            pattern = _HATCH.format(name=hatch, color=paint("masked"))
            body = f"<defs>{pattern}</defs>" + body.replace("url(#hatch)", f"url(#{hatch})")
        width, height = (math.ceil(size + 2 * _MARGIN) for size in (self.part.width, self.part.height))
        return (
            f'<svg class="drawing-sheet" viewBox="0 0 {width} {height}" font-size="{SIZE}" '
            f'style="width: {_SCALE * width:.0f}px" font-family="inherit" {names}{body}</svg>'
        )


def show(
    *sheets: Sheet | Part,
    title: str,
    desc: str,
    caption: str,
    key: str,
    legend: Mapping[str, str] | None = None,
) -> None:
    """Display a drawing as a numbered figure.

    Args:
        sheets: what is drawn; several stand side by side, and one under the other on a phone.
        title: what it is, in a few words, for a reader who cannot see it.
        desc: what it shows, in a sentence or two, for the same reader.
        caption: what to see in it. `$x$` is a formula, `code` in backticks.
        key: the figure's name, "chNN-slug"; the text refers to it by the role fig.
        legend: other words for roles; "" leaves one out. Each role that is drawn stands in the legend.

    Raises:
        ValueError: a text is empty, a role is unknown, or a sheet is wider than a phone can show.
    """
    if not (title.strip() and desc.strip()):
        raise ValueError("title or desc is empty: say what the drawing shows to those who cannot see it")
    drawn = [sheet if isinstance(sheet, Sheet) else Sheet(sheet) for sheet in sheets]
    parts = []
    for i, sheet in enumerate(drawn):
        name = f"{key}-{i + 1}"
        words = f"<title>{html.escape(title)}</title><desc>{html.escape(desc)}</desc>"
        named = f'role="img" aria-label="{html.escape(title)}. {html.escape(desc)}">{words}'
        parts.append(sheet.svg(named if i == 0 else f'aria-hidden="true" id="{name}">'))
    roles = dict.fromkeys(role for sheet in drawn for role in sheet.part.all_roles())
    body = f'<div class="drawing-sheets">{"".join(parts)}</div>{_legend(roles, legend or {})}'
    display_figure(body, caption, key, "course-drawing")


def _legend(roles: Mapping[str, None], other: Mapping[str, str]) -> str:
    if unknown := set(other) - set(ROLES):
        raise ValueError(f"the legend names roles that do not exist: {', '.join(sorted(unknown))}")
    words = {role: other.get(role, role_named(role).words) for role in roles}
    items = "".join(f"<li>{_swatch(role)} {html.escape(text)}</li>" for role, text in words.items() if text)
    return f'<ul class="drawing-legend">{items}</ul>' if items else ""


def _swatch(role: str) -> str:
    """A sample of the role's look, in CSS."""
    look, color = role_named(role), paint(role)
    tint = f"color-mix(in srgb, {color} {100 * look.tint:.0f}%, transparent)"
    hatch = f"repeating-linear-gradient(45deg, {color} 0 1px, transparent 1px 4px)"
    border = f"{look.stroke:g}px {'dashed' if look.dash else 'solid'} {color}"
    strike = " text-decoration: line-through;" if look.struck else ""
    style = f"background: {hatch if look.hatched else tint}; border: {border};{strike}"
    return f'<span class="drawing-swatch" aria-hidden="true" style="{style}">{"x" if look.struck else ""}</span>'
