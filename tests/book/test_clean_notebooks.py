"""The chapters to download run where only the lock's packages and the two wheels are, and nothing else of ours."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from release_book import release_chapters

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTERS = sorted(path.stem for path in BOOK.glob("ch??_*.md"))
OURS = ("nimblelm", "book_tools", "autograder", "__editable__", "aa_one_thread")


@pytest.fixture(scope="module")
def released(site, tmp_path_factory) -> Path:
    """What `make release` packs, built afresh."""
    folder = tmp_path_factory.mktemp("release") / "chapters"
    release_chapters(site / "notebooks", folder, CHAPTERS)
    return folder


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """An environment of its own that sees what is installed here, but for what is ours; the path of its Python."""
    folder = tmp_path_factory.mktemp("elsewhere")
    lent = folder / "lent"
    lent.mkdir()
    for package in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not package.name.startswith(OURS):
            (lent / package.name).symlink_to(package)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")
    return folder / "venv/bin/python"


@pytest.fixture(scope="module")
def installed(elsewhere, released) -> Path:
    """The environment once a first cell has installed the wheels: the second notebook finds them there."""
    found = run_in(
        elsewhere, released, "import importlib.util as u; print(u.find_spec('nimblelm'), u.find_spec('book_tools'))"
    )
    assert found.split() == ["None", "None"]
    cell = nbformat.read(released / f"{CHAPTERS[0]}.ipynb", as_version=4).cells[0]
    executed(elsewhere, released, nbformat.v4.new_notebook(cells=[cell]))
    where = run_in(elsewhere, released, "import book_tools.results as r, nimblelm; print(nimblelm.__file__, r.RESULTS)")
    assert all(Path(path).is_relative_to(elsewhere.parents[1]) for path in where.split())
    return elsewhere


def run_in(python: Path, folder: Path, code: str) -> str:
    command = [python, "-I", "-c", code]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def executed(python: Path, folder: Path, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook, executed by another Python in a folder."""
    kernels = python.parents[1] / "share/jupyter/kernels/python3"
    kernels.mkdir(parents=True, exist_ok=True)
    start = f'{{"argv": ["{python}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"], "display_name": "p"}}'
    (kernels / "kernel.json").write_text(start, encoding="utf-8")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "p"}
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}})
    client.create_kernel_manager()
    client.km.kernel_spec_manager.kernel_dirs.insert(0, str(kernels.parent))
    client.km.kernel_spec_manager.ensure_native_kernel = False
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return client.execute(env={**environment, "OMP_NUM_THREADS": "1"})


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own libraries
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_downloaded_chapter_runs_alone(installed, released, tmp_path, name):
    """In a folder of its own, with an assertion that fails where a chapter's own assertions fail."""
    shutil.copyfile(released / f"{name}.ipynb", tmp_path / f"{name}.ipynb")
    notebook = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    done = executed(installed, tmp_path, notebook)
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert any(output["output_type"] == "display_data" for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"]


@pytest.mark.slow
def test_the_release_names_every_version(released):
    lines = (released / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert pinned >= {"torch", "numpy", "matplotlib", "ipython", "jupyterlab"}
    assert {line for line in lines if "==" not in line} == {f"./{path.name}" for path in released.glob("*.whl")}
    assert sum(path.stat().st_size for path in released.glob("*.whl")) < 60e6
