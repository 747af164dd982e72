"""The notebooks to download: no outputs, text that needs no Sphinx, and a first cell that installs the course."""

import json
from collections.abc import Iterable
from pathlib import Path

from book_names import Names
from figure_references import words_for_references
from notebook_text import NotebookText
from numbering import chapter_number

_FOLDED = {"hide-input", "remove-input", "remove-cell", "hide-cell"}

# Each does nothing where the course is installed.
_FROM_REPOSITORY = """\
# Where the course is not installed (on Colab, say), this gets it.
import importlib.util
if importlib.util.find_spec("book_tools") is None:
    %pip install -q "nimblelm @ git+{repository}" "nimblelm-book @ git+{repository}#subdirectory=book\""""

_FROM_WHEELS = """\
# Where the course is not installed, this installs it from the two wheels that lie beside this notebook.
import importlib.util
import pathlib
if importlib.util.find_spec("book_tools") is None:
    wheels = sorted(str(path) for path in pathlib.Path().glob("nimblelm*.whl"))
    if len(wheels) != 2:
        raise ModuleNotFoundError("two wheels belong beside this notebook: unpack the zip that `make release` builds")
    %pip install -q {{" ".join(wheels)}}"""


def write_clean_notebooks(
    executed: Path,
    destination: Path,
    pages: Iterable[str],
    repository: str | None,
    figures: dict[str, str],
    names: Names,
) -> None:
    """Write each page's notebook without its outputs.

    Args:
        executed: folder of the executed notebooks; the values that a page quotes are beside them, `<page>.glue.json`.
        destination: folder to write into, `<page>.ipynb` each.
        pages: names of the pages.
        repository: https address that pip can install from, or None where there is none yet.
        figures: what the text calls each figure, such as {"ch01-passes": "Figure 1.2"}.
        names: what the text refers to.
    """
    known = set(pages)
    for page in known:
        notebook = json.loads((executed / f"{page}.ipynb").read_text(encoding="utf-8"))
        notebook = words_for_references(notebook, figures)
        quoted = executed / f"{page}.glue.json"
        records = json.loads(quoted.read_text(encoding="utf-8")) if quoted.exists() else {}
        glued = {name: record["data"]["text/plain"] for name, record in records.items()}
        text = NotebookText(glued, known, names, chapter_number(page))
        target = destination / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(clean_notebook(notebook, text, repository), indent=1), encoding="utf-8")


def clean_notebook(notebook: dict, text: NotebookText, repository: str | None) -> dict:
    """The notebook with an install cell first, code without outputs, plain Markdown, and the works cited at its end.

    What the page hides or folds of its code is folded here.
    """
    install = (_FROM_REPOSITORY if repository else _FROM_WHEELS).format(repository=repository)
    cells = [{**_CODE_CELL, "id": "install", "metadata": {}, "source": install}]
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            tags = set(cell["metadata"].get("tags", ()))
            metadata = cell["metadata"] | ({"jupyter": {"source_hidden": True}} if tags & _FOLDED else {})
            cells.append({**cell, **_CODE_CELL, "metadata": metadata, "source": source})
        elif plain := text.markdown(source):
            cells.append({**cell, "source": plain})
    if references := text.references():
        cells.append({"cell_type": "markdown", "id": "references", "metadata": {}, "source": references})
    return {**notebook, "cells": cells}


_CODE_CELL = {"cell_type": "code", "outputs": [], "execution_count": None}
