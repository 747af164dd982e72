"""Notebook files as anybody may have saved them, read in one way: UTF-8, UTF-16 or UTF-32, with or without a mark.

Needs Python and nothing else. A file is hostile until proven otherwise: nothing in it makes this raise but Unreadable.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

MAX_NOTEBOOK_BYTES = 20 * 2**20
MAX_CELLS = 5000


class Unreadable(ValueError):
    """The file is not a notebook; the message says why, to the student."""


def read_notebook(path: Path) -> dict[str, Any]:
    """The JSON of a notebook of format 4, an object with a list of cells.

    Raises:
        Unreadable: there is no such file, or it is no notebook.
    """
    return parse_notebook(_content(path))


def parse_notebook(content: bytes) -> dict[str, Any]:
    """The same from a file's content."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable(
            "The file is not a notebook: it is not valid JSON. Save it in Jupyter and submit it again."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise Unreadable(
            "The file is not a notebook of format 4: it has no list of cells. Save it in a current Jupyter."
        )
    if len(document["cells"]) > MAX_CELLS:
        raise Unreadable(f"The notebook has {len(document['cells'])} cells, at most {MAX_CELLS} are read.")
    return document


def _content(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a named pipe must not hold the grader up
    except OSError:
        raise Unreadable(f"There is no notebook {path.name} in the submission; the file must have that name.") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unreadable(f"{path.name} is not a file.")
    with open(handle, "rb") as file:
        content = file.read(MAX_NOTEBOOK_BYTES + 1)
    if len(content) > MAX_NOTEBOOK_BYTES:
        limit = MAX_NOTEBOOK_BYTES // 2**20
        raise Unreadable(f"The notebook is larger than {limit} MB. Clear its outputs, save it and submit it again.")
    return content
