"""The execution of pages: which have to run again, and running them, several at a time.

An executed page lies in `_build/executed/<page>/<fingerprint>/`, a jupyter-cache of its own, where myst-nb finds it.
Its fingerprint is over its cells, the files that they depend on (`page_inputs`), the lock, the version of Python and
the settings of execution.
"""

import asyncio
import json
import os
import platform
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from fingerprint import ROOT, digest_of, is_generated
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbformat import NotebookNode
from page_inputs import page_inputs

THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
_MOST_AT_ONCE = 4  # a kernel with torch takes about 1 GB
_WATCH = (
    "import sys; sys.path.append('{here}'); from opened_files import record_opened_files; sys.path.pop(); "
    "record_opened_files('{record}', '{root}'); del sys, record_opened_files"
)
_DISPLAYED_ONLY = ("source_map", "language_info")  # of a notebook's metadata


class Plan(NamedTuple):
    """Names of the pages that a build executes, and of those whose outputs it has."""

    execute: list[str]
    cached: list[str]


class _Unexecuted(NamedTuple):
    """A page before its execution: its file, its cells, the files that it may read, the folder of its outputs."""

    source: Path
    notebook: NotebookNode
    inputs: set[Path]
    folder: Path


class UnknownInput(Exception):
    """A page opened a file that its fingerprint does not know: a change of it would leave the page stale."""


def plan(root: Path = ROOT) -> Plan:
    """What a build would execute now."""
    execute, cached = [], []
    for page in notebook_pages(root):
        (cached if is_executed(page, root) else execute).append(page)
    return Plan(execute, cached)


def notebook_pages(root: Path = ROOT) -> list[str]:
    """The pages of the table of contents that have cells to execute, in its order."""
    pages = [page for page in toc_pages(root) if (root / "book" / f"{page}.md").exists()]
    return [page for page in pages if is_myst_markdown_notebook(_text(page, root))]


def toc_pages(root: Path = ROOT) -> list[str]:
    """All pages of the table of contents, in its order."""
    found: list[str] = []

    def collect(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                collect(item)
        elif isinstance(node, dict):
            found.extend(node[key] for key in ("root", "file") if key in node)
            if "glob" in node:
                found.extend(f"assignments/{path.stem}" for path in sorted(root.glob("assignments/*/*.ipynb")))
            for value in node.values():
                collect(value)

    collect(yaml.safe_load((root / "book/_toc.yml").read_text(encoding="utf-8")))
    return found


def is_executed(page: str, root: Path = ROOT) -> bool:
    return any(executed_folder(page, root).glob("executed/*/base.ipynb"))


def executed_folder(page: str, root: Path = ROOT) -> Path:
    """Where the outputs of a page lie, or will lie when it has been executed as it is now."""
    return _unexecuted(page, root).folder


def settings(root: Path = ROOT) -> dict[str, Any]:
    """What `_config.yml` says about execution."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    sphinx = {name: value for name, value in config["sphinx"]["config"].items() if name.startswith("nb_execution")}
    return {**config["execute"], **sphinx}


def read_notebook(page: str, root: Path = ROOT) -> NotebookNode:
    """The page as myst-nb reads it."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    extensions = MdParserConfig(enable_extensions=set(config["parse"]["myst_enable_extensions"]))
    return read_myst_markdown_notebook(_text(page, root), extensions, path=root / "book" / f"{page}.md")


def _text(page: str, root: Path) -> str:
    return (root / "book" / f"{page}.md").read_text(encoding="utf-8")


def _cells(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def execute_pages(pages: Iterable[str], root: Path = ROOT) -> None:
    """Execute pages and keep what they put out, one a core at a time, but no more than memory is sure to hold.

    Raises:
        UnknownInput: a page reads a file that `page_inputs` does not find.
        CellExecutionError: a cell failed.
    """
    found = [_unexecuted(page, root) for page in pages]  # outside the pool: Python 3.11 parses in one thread at a time
    with ThreadPoolExecutor(min(_MOST_AT_ONCE, os.cpu_count() or 1)) as pool:
        list(pool.map(lambda page: _execute(page, root), found))


def _unexecuted(page: str, root: Path) -> _Unexecuted:
    source, notebook = root / "book" / f"{page}.md", read_notebook(page, root)
    inputs = page_inputs(source, _cells(notebook), root)
    metadata = {name: value for name, value in notebook.metadata.items() if name not in _DISPLAYED_ONLY}
    own = [metadata, _cells(notebook), settings(root), THREADS, platform.python_version_tuple()[:2]]
    fingerprint = digest_of({*inputs, root / "requirements.txt"}, root, json.dumps(own, sort_keys=True))
    return _Unexecuted(source, notebook, inputs, root / "_build" / "executed" / page / fingerprint)


def _execute(page: _Unexecuted, root: Path) -> None:
    """Execute one page in a kernel of its own; see `execute_pages`."""
    source, notebook, inputs, folder = page
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    record = folder / "opened_files.txt"
    watch = _WATCH.format(here=Path(__file__).parent, record=record, root=root)
    client = NotebookClient(
        notebook,
        timeout=settings(root)["timeout"],
        record_timing=False,  # times in the cells would hide the notebook from myst-nb
        resources={"metadata": {"path": str(source.parent)}},
        extra_arguments=[f"--IPKernelApp.exec_lines={watch}"],
    )
    began = time.monotonic()
    with ThreadPoolExecutor(1) as thread:  # of its own: the caller's may have an event loop, `execute` leaves one open
        thread.submit(asyncio.run, client.async_execute(env={**os.environ, **THREADS})).result()
    seconds = time.monotonic() - began
    opened = {Path(line).relative_to(root) for line in record.read_text(encoding="utf-8").splitlines()}
    known = {path.relative_to(root) for path in inputs}
    unknown = {str(path) for path in opened - known if not is_generated(path)}
    if unknown:
        files = ", ".join(sorted(unknown))
        raise UnknownInput(f"{source.stem} opens {files}, which page_inputs.py does not find: name it in a string")
    bundle = CacheBundleIn(notebook, str(source), data={"execution_seconds": seconds})
    get_cache(folder).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
