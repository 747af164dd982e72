"""The scripts of `_assets/js` that a page gets: those of the widgets, exercises and terms that it holds."""

from fingerprint import ROOT
from glossary_notes import add_notes
from offline_pages import drop_unused
from sphinx.application import Sphinx

_SCRIPTS = ROOT / "book/_assets/js"
_IF_PAGE_HOLDS = {  # in the order in which they are loaded
    "data-widget=": "widget-parts.js",
    "data-exercise=": "exercises.js",
    'class="card-progress"': "progress-cards.js",
    'class="glossary-note"': "glossary-notes.js",
}


def add_scripts(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Write the definitions of the page's terms, and load what the page needs."""
    drop_unused(context)
    add_notes(app, pagename, context)
    body = context.get("body") or ""
    for sign, script in _IF_PAGE_HOLDS.items():
        if sign in body:
            app.add_js_file(f"js/{script}", priority=400, loading_method="defer")
    for widget in sorted(path.stem for path in (_SCRIPTS / "widgets").glob("*.js")):
        if f'data-widget="{widget}"' in body:
            app.add_js_file(f"js/widgets/{widget}.js", loading_method="defer")
    if pagename == "search":
        app.add_js_file("js/search-results.js", loading_method="defer")  # after Sphinx's own, which it changes


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_scripts, priority=950)
