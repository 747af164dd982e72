"""A book of a few pages with the course's own directives and styles, built in a second, without executing anything."""

import io
import shutil
from pathlib import Path

from offline_pages import copy_mathjax
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

BOOK = Path(__file__).resolve().parents[2] / "book"


def build_small_book(folder: Path, pages: dict[str, str], extensions: list[str], **theme: object) -> str:
    """Build `pages` (name: MyST text; the first is the book's root) into `folder`/html, with the scripts they need.

    Returns:
        What Sphinx warned of; empty where all was well.
    """
    source, out = folder / "source", folder / "html"
    source.mkdir(parents=True)
    shutil.copytree(BOOK / "_assets", source / "_assets")
    root, *others = pages
    contents = "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(others) + "\n```\n"
    for name, text in pages.items():
        (source / f"{name}.md").parent.mkdir(exist_ok=True)
        (source / f"{name}.md").write_text(text + (contents if name == root else ""), encoding="utf-8")
    settings = {
        "extensions": ["myst_parser", "sphinx_book_theme", "sphinx_design", "page_scripts", *extensions],
        "html_theme": "sphinx_book_theme",
        "html_static_path": ["_assets"],
        "html_css_files": [f"css/{path.name}" for path in sorted((BOOK / "_assets/css").glob("*.css"))],
        "html_js_files": ["js/accessibility.js"],
        "html_theme_options": {"navbar_persistent": [], **theme},
        "html_context": {"default_mode": "auto"},
        "master_doc": root,
        "myst_enable_extensions": ["dollarmath", "colon_fence"],
        "mathjax_path": "mathjax/startup.js",
        "mathjax3_config": {"loader": {"load": ["input/tex", "output/chtml"]}},
    }
    said = io.StringIO()
    with docutils_namespace():  # directives and nodes of another build are forgotten
        app = Sphinx(source, None, out, folder / "doctrees", "html", settings, status=None, warning=said, freshenv=True)
        app.build(force_all=True)
    if "$" in "".join(pages.values()):
        copy_mathjax(out / "_static/mathjax")
    return said.getvalue()
