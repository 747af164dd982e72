"""The course's Sphinx extension: honest caching, no request to another machine, clean notebooks, generated tables."""

from pathlib import Path
from typing import Any

import chapter_parts
import course_tables
import exercises
import figure_references
import landing
import lib_reference
import numbering
import page_scripts
import repository_links
from assignment_pages import copy_student_notebooks, write_assignment_pages
from book_names import read_names
from clean_notebooks import write_clean_notebooks
from execution import executed_folder, notebook_pages
from fingerprint import ROOT
from icons import keep_used_icons
from offline_pages import copy_mathjax, repair_pages
from sphinx.application import Sphinx
from sphinx.config import Config

BOOK = ROOT / "book"


def configure(app: Sphinx, config: Config) -> None:
    """Write the assignments' pages, and make paths absolute."""
    write_assignment_pages()
    config.bibtex_bibfiles = [str(BOOK / name) for name in config.bibtex_bibfiles]
    config.html_static_path = [str(BOOK / name) if (BOOK / name).is_dir() else name for name in config.html_static_path]
    config.html_favicon = str(BOOK / config.html_favicon)


def choose_execution(app: Sphinx, docname: str, source: list[str]) -> None:
    """Before a page is read: tell myst-nb where its execution lies, which is a folder for each page and its inputs."""
    if docname in notebook_pages():
        env: Any = app.env
        env.mystnb_config = env.mystnb_config.copy(execution_cache_path=str(executed_folder(docname)))


def finish(app: Sphinx, error: Exception | None) -> None:
    """After the pages: our own MathJax, no unused scripts, and the notebooks to download."""
    if error or app.builder.name != "html":
        return
    out = Path(app.outdir)
    copy_mathjax(out / "_static" / "mathjax")
    repair_pages(out)
    keep_used_icons(out)
    figures = figure_references.fill_references(out)
    write_clean_notebooks(
        executed=out.parent / "jupyter_execute",
        destination=out / "notebooks",
        pages=chapter_parts.executed_pages(app.env),
        repository=repository_links.course_address(app.config),
        figures=figures,
        names=read_names(app),
    )
    copy_student_notebooks(out / "notebooks" / "assignments")


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", configure, priority=100)
    app.connect("source-read", choose_execution)
    app.connect("build-finished", finish)
    parts = (
        chapter_parts,
        course_tables,
        exercises,
        figure_references,
        landing,
        lib_reference,
        numbering,
        page_scripts,
        repository_links,
    )
    for part in parts:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
