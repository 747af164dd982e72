"""Words in a drawing: how wide they are, and their SVG, with sub- and superscripts between dollar signs."""

import html
import re

SIZE, SCRIPT_SIZE = 13, 11.6
LINE = 17  # from one line to the next
MAX_WIDTH = 460  # of a sheet: it shrinks to 358 px on a phone of 390, and a subscript is 9 px there
_MONO, _SANS = 0.602, 0.55  # width of a character over the size of the font
_SCRIPT = re.compile(r"([_^])(\{[^}]*\}|.)")
_ZERO_WIDTH = "&#8203;"


def text_width(words: str, mono: bool = False, bold: bool = False) -> float:
    """About the width of a line of text."""
    shown = "".join(_SCRIPT.sub(lambda m: m[2].strip("{}"), run) if i % 2 else run for i, run in _runs(words))
    return len(shown) * SIZE * (_MONO if mono else _SANS + 0.04 * bold)


def text_svg(
    words: str, x: float, y: float, *, anchor: str = "middle", mono: bool = False, bold: bool = False,
    muted: bool = False, struck: bool = False, halo: bool = False,
) -> str:  # fmt: skip
    """One line of text with its middle at height y. `$h_t$` is set in italics with its subscript."""
    style = ' class="drawing-halo"' if halo else ""
    style += ' font-family="var(--pst-font-family-monospace, monospace)"' if mono else ""
    style += ' font-weight="600"' if bold else ""
    style += ' opacity="0.8"' if muted else ""
    style += ' text-decoration="line-through"' if struck else ""
    content = "".join(_formula(run) if i % 2 else html.escape(run) for i, run in _runs(words))
    at = f'x="{x:.1f}" y="{y + 0.35 * SIZE:.1f}" text-anchor="{anchor}" fill="currentColor" xml:space="preserve"'
    return f"<text {at}{style}>{content}</text>"


def _runs(words: str) -> list[tuple[int, str]]:
    """Plain text at even numbers, formulas at odd ones."""
    return list(enumerate(words.split("$")))


def _formula(run: str) -> str:
    parts, end, low = [], 0, 0.0  # low: how far below the line we are
    for script in _SCRIPT.finditer(run):
        if words := html.escape(run[end : script.start()]):
            parts.append(f'<tspan dy="{-low:g}" font-style="italic">{words}</tspan>')
            low = 0.0
        depth = 3.0 if script[1] == "_" else -5.0
        inner = html.escape(script[2].strip("{}"))
        parts.append(f'<tspan dy="{depth - low:g}" font-size="{SCRIPT_SIZE}">{inner}</tspan>')
        low, end = depth, script.end()
    rest = html.escape(run[end:]) or (_ZERO_WIDTH if low else "")
    return "".join([*parts, f'<tspan dy="{-low:g}" font-style="italic">{rest}</tspan>' if rest else ""])
