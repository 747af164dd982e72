"""Definitions beside the words: each page holds the definitions of the terms that it links, where
`glossary-notes.js` finds them."""

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import glossary, pending_xref
from sphinx.application import Sphinx

PAGE = "glossary"
_LINK = re.compile(rf'href="(?:\.\./)*{PAGE}\.html#(term-[^"]+)"')


def definitions(app: Sphinx) -> dict[str, str]:
    """HTML of each definition by the anchor of its term; links in it are words."""
    env: Any = app.env
    if not hasattr(env, "course_definitions"):
        found: dict[str, str] = {}
        builder: Any = app.builder
        tree = env.get_doctree(PAGE) if PAGE in env.found_docs else nodes.document(None, None)  # type: ignore[arg-type]
        for item in (item for block in tree.findall(glossary) for item in block.findall(nodes.definition_list_item)):
            terms = [anchor for term in item.findall(nodes.term) for anchor in term["ids"]]
            (definition,) = item.findall(nodes.definition)
            found |= dict.fromkeys(terms, builder.render_partial(_without_links(definition))["fragment"])
        env.course_definitions = found
    return env.course_definitions


def _without_links(definition: nodes.definition) -> nodes.container:
    copy = nodes.container("", *(child.deepcopy() for child in definition.children), classes=["glossary-note-text"])
    for kind in (nodes.reference, pending_xref):
        for link in [*copy.findall(kind)]:
            link.replace_self(link.children)
    return copy


def add_notes(app: Sphinx, pagename: str, context: dict) -> None:
    """Put the definitions of the terms that a page links at its end."""
    body = context.get("body") or ""
    linked = dict.fromkeys(_LINK.findall(body)) if pagename != PAGE else {}
    known = definitions(app) if linked else {}
    notes = [f'<div class="glossary-note" id="note-{anchor}" role="tooltip">{known[anchor]}</div>' for anchor in linked]
    if notes:
        context["body"] = f'{body}<div class="glossary-notes">{"".join(notes)}</div>'
