"""Plots that are right on a light page, a dark one and a phone: inline SVG in the colour of the text around it."""

import base64
import hashlib
import html
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from PIL import Image

from book_tools.captions import display_figure

# Each has a contrast of 3:1 or more against white and against the dark theme's #14181e.
COLORS = {"blue": "#2f7fd1", "orange": "#d0690b", "green": "#2b9348", "purple": "#9a5fd0", "grey": "#7f858c"}
PHONE_PX, LEAST_PX = 358, 9  # width of a plot on a phone of 390, and of the smallest text in it
_PANEL_WIDTH = 4.55  # inches; two panels stand side by side in the column of text

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's font
    "svg.hashsalt": "course",  # the same figure gives the same bytes
    "font.size": 10,
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=list(COLORS.values())),
    "lines.linewidth": 2,
    "figure.constrained_layout.use": True,
}

Plot = Figure | Sequence[Figure]


def new_figure(columns: int = 1, width: float = 5.2, height: float = 3.2) -> tuple[Plot, list[Axes]]:
    """An empty plot in the book's style, and its axes (sizes in inches).

    Several panels are figures of their own: side by side where there is room, one under the other on a phone.
    """
    with plt.rc_context(_STYLE):
        if columns == 1:
            figure, axes = plt.subplots(figsize=(width, height))
            return figure, [axes]
        pairs = [plt.subplots(figsize=(_PANEL_WIDTH, height)) for _ in range(columns)]
    return [figure for figure, _ in pairs], [axes for _, axes in pairs]


def show(fig: Plot, alt: str, caption: str = "", key: str = "") -> None:
    """Display a plot as transparent inline SVG. Whatever is black in it takes the colour of the page's text.

    Legends stand above their axes, where no data is; logarithmic axes have plain numbers; text that would be too small
    to read on a phone is enlarged.

    Args:
        fig: what `new_figure` gave; it is closed.
        alt: what a reader who cannot see the plot should know: what is drawn, and what it says.
        caption: what to see in it; each figure of a chapter has one.
        key: the figure's name, "chNN-slug", by which it is numbered; the text refers to it by the role fig.

    Raises:
        ValueError: alt is empty, or one of caption and key, or the key names no chapter.
    """
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows")
    panels = [fig] if isinstance(fig, Figure) else list(fig)
    drawn = [_panel(panel, alt if i == 0 else "") for i, panel in enumerate(panels)]
    plot = drawn[0] if len(drawn) == 1 else f'<div class="plot-panels">{"".join(drawn)}</div>'
    if caption or key:
        display_figure(plot, caption, key, "course-graph")
    else:
        display(HTML(f'<figure class="course-figure">{plot}</figure>'))


def _panel(fig: Figure, alt: str) -> str:
    with plt.rc_context(_STYLE):
        for ax in fig.axes:
            _plain_numbers(ax)
            _legend_above(fig, ax)
        _enlarge_small_text(fig)
        buffer = io.StringIO()
        fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    plt.close(fig)
    return _inline_svg(buffer.getvalue(), alt)


def _legend_above(fig: Figure, ax: Axes) -> None:
    old = ax.get_legend()
    if old is None:
        return
    labels = [text.get_text() for text in old.get_texts()]
    handles, names = ax.get_legend_handles_labels()
    if names != labels:  # the cell gave handles of its own
        handles = [handle for handle in old.legend_handles if handle is not None]
    old.remove()
    width, size = 72 * fig.get_figwidth(), max(plt.rcParams["legend.fontsize"], _least_size(fig))
    entry = size * (4.2 + 0.6 * max(map(len, labels)))
    columns = next(n for n in (4, 3, 2, 1) if n == 1 or n * entry < width - 60)
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "borderaxespad": 0.2}
    ax.legend(handles, labels, frameon=False, ncols=columns, columnspacing=1.2, fontsize=size, **place)


def _plain_numbers(ax: Axes) -> None:
    """1, 2, 5, 10 instead of powers on a logarithmic axis, and no names for its minor ticks."""
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() != "log":
            continue
        low, high = sorted(axis.get_view_interval())
        if isinstance(axis.get_major_locator(), LogLocator):
            decades = high / low
            subs = (1.0, 2.0, 5.0) if decades < 300 else (1.0,)
            axis.set_major_locator(LogLocator(subs=subs, numticks=12))
            axis.set_major_formatter(FuncFormatter(_plain))
        axis.set_minor_formatter(NullFormatter())
        axis.set_minor_locator(NullLocator())


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _plain(value: float, _position: int | None = None) -> str:
    if 0.001 <= value < 100_000:
        return f"{value:g}" if value < 10_000 else f"{value:,.0f}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(_RAISED)}"  # small figures of their own size: TeX would shrink them
    return power if mantissa == "1" else f"{mantissa}·{power}"


def _enlarge_small_text(fig: Figure) -> None:
    for text in fig.findobj(Text):
        text.set_fontsize(max(text.get_fontsize(), _least_size(fig)))


def _least_size(fig: Figure) -> float:
    """Points of a text that is LEAST_PX high when the plot is as wide as a phone."""
    return LEAST_PX * max(1.0, 72 * fig.get_figwidth() / PHONE_PX)


def _inline_svg(svg: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)  # its styles would leak
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    body = body.replace("#000000", "currentColor").replace("xlink:href", "href")
    body = re.sub(r'<g id="(legend|axes)_\d+">', r'<g class="plot-\1">', body)
    body = re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", lambda m: embedded(_opened(m[1])), body)
    body = _own_ids(re.sub(r"\s*\n\s*", " ", body))
    names = f'role="img" aria-label="{html.escape(alt)}"' if alt else 'aria-hidden="true"'
    attributes = f'class="course-plot" {names} fill="currentColor" stroke-linejoin="round"'
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg {attributes} viewBox="\1">', body, count=1)


def embedded(image: Image.Image) -> str:
    """A picture as the address of itself, without loss and in half the bytes of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _opened(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def _own_ids(body: str) -> str:
    """Keep the ids that something points at, with a prefix of this figure's own: two figures share a page."""
    prefix = "f" + hashlib.sha256(body.encode()).hexdigest()[:8]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", body)
    return re.sub(r'((?:href="#|url\(#))([^")]+)', rf"\1{prefix}-\2", body)
