"""The course's Sphinx extension: honest caching, no request to another machine, clean notebooks, generated tables."""

import subprocess
from pathlib import Path

import chapter_parts
import course_tables
import lib_reference
from assignment_pages import copy_student_notebooks, write_assignment_pages
from clean_notebooks import write_clean_notebooks
from fingerprint import EXECUTION_INPUTS, ROOT, fingerprint
from icons import keep_used_icons
from offline_pages import copy_mathjax, drop_unused, repair_pages
from sphinx.application import Sphinx
from sphinx.config import Config

BOOK = ROOT / "book"


def configure(app: Sphinx, config: Config) -> None:
    """Write the assignments' pages, make paths absolute, name the cache after all that an output depends on."""
    write_assignment_pages()
    config.bibtex_bibfiles = [str(BOOK / name) for name in config.bibtex_bibfiles]
    config.html_static_path = [str(BOOK / name) if (BOOK / name).is_dir() else name for name in config.html_static_path]
    config.html_favicon = str(BOOK / config.html_favicon)
    config.nb_execution_cache_path = str(ROOT / "_build" / "jupyter_cache" / fingerprint(EXECUTION_INPUTS))
    repository = github_repository()
    if repository:
        config.html_theme_options |= {"repository_url": repository, "use_repository_button": True}
    else:
        config.html_theme_options.pop("repository_url", None)


def github_repository(root: Path = ROOT) -> str | None:
    """https://github.com/owner/name where git's origin is there, else None."""
    git = subprocess.run(["git", "remote", "get-url", "origin"], cwd=root, capture_output=True, text=True, check=False)
    url = git.stdout.strip().removesuffix(".git").replace("git@github.com:", "https://github.com/")
    return url if url.startswith("https://github.com/") else None


def add_page_parts(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give a page the scripts of the widgets that it holds, and link its clean notebook."""
    drop_unused(context)
    body = context.get("body") or ""
    if "data-widget=" in body:
        app.add_js_file("js/widget-parts.js", priority=400, loading_method="defer")  # before the widgets themselves
    for script in sorted(path.name for path in (BOOK / "_assets/js/widgets").glob("*.js")):
        if f'data-widget="{Path(script).stem}"' in body:
            app.add_js_file(f"js/widgets/{script}", loading_method="defer")
    if pagename in chapter_parts.executed_pages(app.env) or pagename.startswith("assignments/"):
        _link_notebook(context, pagename)


def _link_notebook(context: dict, pagename: str) -> None:
    notebook = f"notebooks/{pagename}.ipynb"
    buttons = next(
        (g["buttons"] for g in context.get("header_buttons", []) if g.get("label") == "download-buttons"), []
    )
    replaced = {"download-notebook-button"} | (
        {"download-source-button"} if pagename.startswith("assignments/") else set()
    )
    buttons[:] = [button for button in buttons if button["label"] not in replaced]
    button = {
        "type": "link",
        "url": context["pathto"](notebook, 1),
        "text": "Notebook (.ipynb)",
        "icon": "fas fa-code",
        "label": "download-notebook-button",
    }
    buttons.insert(0, button)
    repository = github_repository()
    if repository:
        path = repository.removeprefix("https://github.com/")
        url = f"https://colab.research.google.com/github/{path}/blob/notebooks/{notebook}"
        buttons.insert(1, {**button, "url": url, "text": "Open in Colab", "label": "launch-colab-button"})


def finish(app: Sphinx, error: Exception | None) -> None:
    """After the pages: our own MathJax, no unused scripts, and the notebooks to download."""
    if error or app.builder.name != "html":
        return
    out = Path(app.outdir)
    copy_mathjax(out / "_static" / "mathjax")
    repair_pages(out)
    keep_used_icons(out)
    write_clean_notebooks(
        executed=out.parent / "jupyter_execute",
        destination=out / "notebooks",
        pages=chapter_parts.executed_pages(app.env),
        repository=github_repository(),
    )
    copy_student_notebooks(out / "notebooks" / "assignments")


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", configure, priority=100)
    app.connect("html-page-context", add_page_parts, priority=950)
    app.connect("build-finished", finish)
    for part in (chapter_parts, course_tables, lib_reference):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
