"""The notebooks to download run from top to bottom where the course is installed."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

BOOK = Path(__file__).resolve().parents[2] / "book"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own libraries
@pytest.mark.parametrize("name", sorted(path.stem for path in BOOK.glob("ch*.md")))
def test_clean_notebook_runs(site, name):
    notebook = nbformat.read(site / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    executed = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(BOOK)}}).execute()
    assert any(output["output_type"] == "display_data" for cell in executed.cells for output in cell.get("outputs", []))
