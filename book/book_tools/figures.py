"""Figures that are right on a light and on a dark page: inline SVG in the colour of the text around it."""

import hashlib
import html
import io
import re
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Each has a contrast of 3:1 or more against white and against the dark theme's #14181e.
COLORS = {"blue": "#2f7fd1", "orange": "#d0690b", "green": "#2b9348", "purple": "#9a5fd0", "grey": "#7f858c"}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's font
    "svg.hashsalt": "course",  # the same figure gives the same bytes
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=list(COLORS.values())),
    "lines.linewidth": 2,
    "figure.constrained_layout.use": True,
}


def new_figure(columns: int = 1, width: float = 5.2, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """An empty figure in the book's style, and its axes side by side (sizes in inches)."""
    with plt.rc_context(_STYLE):
        fig, axes = plt.subplots(1, columns, figsize=(width, height), squeeze=False)
    return fig, list(axes[0])


def show(fig: Figure, alt: str) -> None:
    """Display a figure as transparent inline SVG. Whatever is black in it takes the colour of the page's text.

    Args:
        fig: a matplotlib figure; it is closed.
        alt: what a reader who cannot see the figure should know: what is drawn, and what it says.

    Raises:
        ValueError: alt is empty.
    """
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows")
    for legend in filter(None, (ax.get_legend() for ax in fig.axes)):
        legend.set_frame_on(False)
    buffer = io.StringIO()
    with plt.rc_context(_STYLE):
        fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    plt.close(fig)
    display(HTML(f'<figure class="course-figure">{_inline_svg(buffer.getvalue(), alt)}</figure>'))


def _inline_svg(svg: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)  # its styles would leak
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    body = body.replace("#000000", "currentColor").replace("xlink:href", "href")
    body = _own_ids(re.sub(r"\s*\n\s*", " ", body))
    attributes = (
        f'class="course-plot" role="img" aria-label="{html.escape(alt)}" fill="currentColor" stroke-linejoin="round"'
    )
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg {attributes} viewBox="\1">', body, count=1)


def _own_ids(body: str) -> str:
    """Keep the ids that something points at, with a prefix of this figure's own: two figures share a page."""
    prefix = "f" + hashlib.sha256(body.encode()).hexdigest()[:8]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", body)
    return re.sub(r'((?:href="#|url\(#))([^")]+)', rf"\1{prefix}-\2", body)
