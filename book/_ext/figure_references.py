"""The role `{fig}`: the text says {fig}`ch01-two-phases`, the reader sees a link, "Figure 1.2".

Cells number their figures when they run (`book_tools.captions`). The references are filled in when all pages are
written, so that they may stand before the figure and lead to another page.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_FIGURE = re.compile(
    r'<figure class="course-figure[^"]*" id="([\w-]+)">.*?<span class="figure-number">([^<]+)<', re.DOTALL
)
_EMPTY = '<a class="figure-reference" href="#{key}"></a>'
_REFERENCE = re.compile(_EMPTY.format(key=r"([\w-]+)"))
_ROLE = re.compile(r"\{fig\}`([\w-]+)`")


class UnknownFigure(Exception):
    """The text refers to a figure that no page has."""


def numbered_figures(html: str) -> dict[str, str]:
    """The figures in a page or in a cell's output, such as {"ch01-two-phases": "Figure 1.2"}."""
    return dict(_FIGURE.findall(html))


def fill_references(out: Path) -> dict[str, str]:
    """Give each reference in the site's pages its words and its address.

    Returns:
        The words of each figure.

    Raises:
        UnknownFigure: a reference leads nowhere.
    """
    pages = {path: path.read_text(encoding="utf-8") for path in out.glob("*.html")}
    known = {key: (path, words) for path, text in pages.items() for key, words in numbered_figures(text).items()}
    for path, text in pages.items():

        def link(match: re.Match, here: Path = path) -> str:
            page, words = _look_up(known, match[1], here.name)
            address = "" if page == here else page.name
            return f'<a class="figure-reference" href="{address}#{match[1]}">{words}</a>'

        if _REFERENCE.search(text):
            path.write_text(_REFERENCE.sub(link, text), encoding="utf-8")
    return {key: words for key, (_, words) in known.items()}


def words_for_references(notebook: dict, known: dict[str, str]) -> dict:
    """The notebook with "Figure 1.2" in its text in place of each role.

    Args:
        notebook: as JSON.
        known: what `fill_references` gave.

    Raises:
        UnknownFigure: the text refers to a figure that no page has.
    """
    return notebook | {"cells": [_in_words(cell, known) for cell in notebook["cells"]]}


def _in_words(cell: dict, known: dict[str, str]) -> dict:
    if cell["cell_type"] != "markdown":
        return cell
    return cell | {"source": _ROLE.sub(lambda m: _look_up(known, m[1], "a notebook"), "".join(cell["source"]))}


def _look_up(known: dict[str, Any], key: str, where: str) -> Any:
    if key not in known:
        raise UnknownFigure(f"{where} refers to the figure {key!r}; there are {', '.join(sorted(known)) or 'none'}")
    return known[key]


def _fig(name, rawtext, text, lineno, inliner, options=None, content=None) -> tuple[list[nodes.Node], list]:
    return [nodes.raw("", _EMPTY.format(key=text), format="html")], []


def setup(app: Sphinx) -> None:
    app.add_role("fig", _fig)
