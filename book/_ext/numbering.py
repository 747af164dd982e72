"""Numbers that begin with the chapter's: its title, equation (2.3), Theorem 2.1. Figures number themselves."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_CHAPTER = re.compile(r"ch(\d\d)_")


def chapter_number(docname: str) -> int | None:
    """2 for `ch02_speculative_decoding`; None for a page that is no chapter."""
    match = _CHAPTER.match(docname)
    return int(match[1]) if match else None


def number_title_and_equations(app: Sphinx, doctree: nodes.document) -> None:
    """Once a page is read: give its title the chapter's number, and its labelled equations theirs."""
    chapter = chapter_number(app.env.docname)
    if chapter is None:
        return
    title = next(doctree.findall(nodes.title))
    title.insert(0, [nodes.inline(text=str(chapter), classes=["chapter-number"]), nodes.Text(" · ")])
    equations: Any = app.env.get_domain("math")
    numbered = [node for node in doctree.findall(nodes.math_block) if node.get("number")]
    for count, node in enumerate(numbered, 1):
        node["number"] = f"{chapter}.{count}"
        equations.equations[node["label"]] = (app.env.docname, node["number"])


def number_theorems(app: Sphinx, env: Any) -> None:
    """Once all pages are read: count theorems, lemmas and the like within their chapter."""
    for docname, kinds in env.toc_fignumbers.items():
        chapter = chapter_number(docname)
        for kind, numbers in kinds.items() if chapter is not None else ():
            kinds[kind] = {name: (chapter, count) for count, name in enumerate(numbers, 1)}


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", number_title_and_equations, priority=400)  # before titles are collected
    app.connect("env-check-consistency", number_theorems)
