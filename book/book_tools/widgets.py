"""Interactives: a static version of what they show, and the table of numbers that they read."""

import inspect
import json
import textwrap
from collections.abc import Callable

from IPython.display import HTML, display


def show_widget(name: str, label: str, data: dict, fallback: str) -> None:
    """Display a widget. Its script, `_assets/js/widgets/<name>.js`, reads `data` and replaces `fallback`.

    Without JavaScript, in print, and in a notebook the fallback is what a reader sees.

    Args:
        name: name of the script.
        label: what the widget is, for a screen reader.
        data: the numbers, from lib; plain JSON types.
        fallback: HTML that shows the same without interaction.
    """
    table = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    display(
        HTML(
            f'<div class="course-widget" data-widget="{name}" role="group" aria-label="{label}">'
            f'<script type="application/json">{table}</script>'
            f'<div class="widget-static">{fallback}</div></div>'
        )
    )


def code_lines(function: Callable, *begins: str) -> list[str]:
    """The lines of a function's source that begin with these words, without comments: an interactive shows them.

    Raises:
        ValueError: no line begins with one of them, so the source has changed.
    """
    source = [line.partition("  #")[0].rstrip() for line in textwrap.dedent(inspect.getsource(function)).splitlines()]
    found = [next((line for line in source if line.strip().startswith(begin)), "") for begin in begins]
    if "" in found:
        raise ValueError(f"no line of {function.__name__} begins with {begins[found.index('')]!r}")
    return textwrap.dedent("\n".join(found)).split("\n")
