"""Student notebooks as pages: book/assignments/ is written from assignments/ before the book is read.

Only what a student receives is shown. The pages are never executed: they hold stubs.
"""

import json
import re
import shutil
from pathlib import Path

from fingerprint import ROOT

PAGES = ROOT / "book" / "assignments"
_FORBIDDEN = ("BEGIN SOLUTION", "BEGIN HIDDEN TESTS")


def exercise_label(assignment: str, exercise: str) -> str:
    """The anchor of an exercise: `a02-accept` for exercise `accept` of `a02_speculative_decoding`."""
    return f"{assignment.split('_')[0]}-{exercise.replace('_', '-')}"


def has_page(assignment: str) -> bool:
    """Whether the site has a page for the assignment."""
    return (PAGES / f"{assignment}.ipynb").exists()


def write_assignment_pages(root: Path = ROOT) -> dict[str, Path]:
    """Write one page per student notebook and remove pages whose notebook is gone.

    Returns:
        The page of each assignment, by its name.

    Raises:
        ValueError: a notebook still holds a solution or a hidden-test region.
    """
    pages_dir = root / "book" / "assignments"
    notebooks = {path.parent.name: path for path in sorted(root.glob("assignments/*/*.ipynb"))}
    pages_dir.mkdir(exist_ok=True)
    for stale in {path for path in pages_dir.glob("*.ipynb") if path.stem not in notebooks}:
        stale.unlink()
    pages = {}
    for name, path in notebooks.items():
        text = json.dumps(student_page(json.loads(path.read_text(encoding="utf-8")), name), indent=1)
        found = [mark for mark in _FORBIDDEN if mark in text]
        if found:
            raise ValueError(f"{path} is not a student notebook: it contains {found[0]!r}")
        pages[name] = pages_dir / f"{name}.ipynb"
        if not pages[name].exists() or pages[name].read_text(encoding="utf-8") != text:
            pages[name].write_text(text, encoding="utf-8")
    return pages


def student_page(notebook: dict, assignment: str) -> dict:
    """The notebook without outputs and grading metadata, with an anchor at the heading of each exercise."""
    cells, heading = [], None
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        grading = cell["metadata"].get("nbgrader", {})
        page_cell = {"cell_type": cell["cell_type"], "id": cell["id"], "metadata": {}, "source": source}
        if cell["cell_type"] == "code":
            page_cell |= {"outputs": [], "execution_count": None}
            if grading.get("solution"):
                _add_label(cells, heading, exercise_label(assignment, grading["grade_id"]))
                heading = None
        elif _HEADING.search(source):
            heading = page_cell
        cells.append(page_cell)
    return notebook | {"cells": cells}


_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)


def _add_label(cells: list[dict], heading: dict | None, label: str) -> None:
    if heading is None:
        cells.append({"cell_type": "markdown", "id": label, "metadata": {}, "source": f"({label})="})
    else:
        *_, last = _HEADING.finditer(heading["source"])
        heading["source"] = f"{heading['source'][: last.start()]}({label})=\n{heading['source'][last.start() :]}"


def copy_student_notebooks(destination: Path, root: Path = ROOT) -> None:
    """Copy the notebooks to download, byte for byte: grading needs the metadata that a page leaves out."""
    destination.mkdir(parents=True, exist_ok=True)
    for path in root.glob("assignments/*/*.ipynb"):
        shutil.copyfile(path, destination / path.name)
