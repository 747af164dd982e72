"""Figures with numbers and captions. Figure 8.3 is the third that the cells of chapter 8 display."""

import html
import re

from IPython.display import HTML, display

_KEY = re.compile(r"ch(\d\d)-[a-z0-9-]+")
_numbers: dict[str, str] = {}  # of the figures that this process has displayed


def figure_number(key: str) -> str:
    """The figure's number, such as "8.3"; the same when its cell is run again.

    Raises:
        ValueError: the key does not name a chapter.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise ValueError(f"a figure's key is chNN-slug in small letters, got {key!r}")
    chapter = int(match[1])
    before = sum(number.startswith(f"{chapter}.") for number in _numbers.values())
    return _numbers.setdefault(key, f"{chapter}.{before + 1}")


def display_figure(body: str, caption: str, key: str, kind: str) -> None:
    """Display HTML as a figure with its number and its caption.

    Args:
        body: what is shown.
        caption: what to see in it; `$x$` is a formula, `code` stands in backticks.
        key: "chNN-slug", by which the text refers to it.
        kind: class of the figure beside `course-figure`.

    Raises:
        ValueError: the caption is empty or the key does not name a chapter.
    """
    if not caption.strip():
        raise ValueError("caption is empty: say in a sentence what to see")
    number = f'<span class="figure-number">Figure {figure_number(key)}</span>'
    words = f"<figcaption>{number} {caption_html(caption)}</figcaption>"
    display(HTML(f'<figure class="course-figure {kind}" id="{key}">{body}{words}</figure>'))


def caption_html(caption: str) -> str:
    """The caption's formulas and code as the page's own."""
    text = html.escape(caption, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\$([^$]+)\$", r'<span class="math notranslate nohighlight">\\(\1\\)</span>', text)
