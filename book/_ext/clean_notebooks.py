"""The notebooks to download: no outputs, links that work anywhere, and a first cell that installs the course."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

_INSTALL = """\
# Where the course is not installed (on Colab, say), this gets it; elsewhere it does nothing.
import importlib.util
if importlib.util.find_spec("nimblelm") is None:
    %pip install -q git+{repository}
    !git clone -q --depth 1 {repository} /tmp/course
    %cd -q /tmp/course/book"""

_INSTALL_BY_HAND = """\
# This notebook runs inside a clone of the course, from its folder book/, after `make`.
import importlib.util
if importlib.util.find_spec("nimblelm") is None:
    raise ModuleNotFoundError("nimblelm is not installed: clone the course, run `make`, open this from book/")"""


def write_clean_notebooks(executed: Path, destination: Path, pages: Iterable[str], repository: str | None) -> None:
    """Write each page's notebook without its outputs.

    Args:
        executed: folder of the executed notebooks; the values that a page quotes are beside them, `<page>.glue.json`.
        destination: folder to write into, `<page>.ipynb` each.
        pages: names of the pages.
        repository: https address that pip and git can install from, or None where there is none yet.
    """
    known = set(pages)
    for page in known:
        notebook = json.loads((executed / f"{page}.ipynb").read_text(encoding="utf-8"))
        quoted = executed / f"{page}.glue.json"
        records = json.loads(quoted.read_text(encoding="utf-8")) if quoted.exists() else {}
        glued = {name: record["data"]["text/plain"] for name, record in records.items()}
        target = destination / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(clean_notebook(notebook, glued, known, repository), indent=1), encoding="utf-8")


def clean_notebook(notebook: dict, glued: dict[str, str], pages: set[str], repository: str | None) -> dict:
    """The notebook with an install cell first, code without outputs, and Markdown without Sphinx roles."""
    install = _INSTALL.format(repository=repository) if repository else _INSTALL_BY_HAND
    cells = [{**_CODE_CELL, "id": "install", "metadata": {}, "source": install}]
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cells.append({**cell, **_CODE_CELL, "source": source})
        elif plain := plain_markdown(source, glued, pages):
            cells.append({**cell, "source": plain})
    return {**notebook, "cells": cells}


_CODE_CELL = {"cell_type": "code", "outputs": [], "execution_count": None}


def plain_markdown(source: str, glued: dict[str, str], pages: set[str]) -> str:
    """MyST text as plain Markdown: glued values as text, references as words, directives as their content.

    Args:
        glued: the values that the text may quote.
        pages: the pages that are notebooks; links to them stay links.

    Raises:
        KeyError: the text quotes a value that no cell glued.
    """
    source = _GLUE.sub(lambda m: _formatted(glued[m["name"]], m["spec"]), source)
    source = re.sub(r"\{doc\}`(?:([^`<]+?)\s*<)?([\w/]+)>?`", lambda m: _link(m[1] or m[2], m[2], pages), source)
    source = re.sub(r"\[([^\]]*)\]\(([\w/]+)\.(?:md|ipynb)(?:#[\w-]*)?\)", lambda m: _link(m[1], m[2], pages), source)
    source = re.sub(r"\{[\w:-]+\}`([^`<]+?)\s*<[^`>]+>`", r"\1", source)  # {ref}`words <label>`
    source = re.sub(r"\{[\w:-]+\}`([^`]+)`", r"\1", source)  # any other role: its words
    source = re.sub(r"^\([\w-]+\)=\s*\n", "", source, flags=re.MULTILINE)  # targets
    source = re.sub(
        r"^(`{3,}|:{3,})\{([\w:-]+)\}(.*)\n((?::[\w-]+:.*\n)*)", _directive_head, source, flags=re.MULTILINE
    )
    return re.sub(r"^(`{3,}|:{3,})\s*$\n?", "", source, flags=re.MULTILINE).strip()


_GLUE = re.compile(r"\{glue:\w*\}`(?P<name>[^`:]+)(?::(?P<spec>[^`]*))?`")


def _directive_head(match: re.Match) -> str:
    """The argument of a directive stays as words: a theorem's title, a question."""
    name, argument = match[2], match[3].strip()
    if name in ("literalinclude", "exercise-list", "traceability", "chapter-header"):
        return ""
    return f"**{name.removeprefix('prf:').capitalize()}{': ' if argument else ''}{argument}**\n\n"


def _link(words: str, page: str, pages: set[str]) -> str:
    return f"[{words}]({page}.ipynb)" if page in pages else words


def _formatted(text: str, spec: str | None) -> str:
    text = text.strip("'\"")
    return format(float(text), spec) if spec else text
