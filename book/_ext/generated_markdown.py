"""The base of the directives that write MyST text and have it parsed."""

from docutils import nodes
from docutils.statemachine import StringList
from fingerprint import ROOT
from sphinx.util.docutils import SphinxDirective


class GeneratedMarkdown(SphinxDirective):
    """A directive that parses MyST text of its own making."""

    def parse(self, lines: list[str]) -> list[nodes.Node]:
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_location()), self.content_offset, container)
        return container.children

    def depends_on(self, *patterns: str) -> None:
        """Read this page again when one of these files changes."""
        for pattern in patterns:
            for path in ROOT.glob(pattern):
                self.env.note_dependency(str(path))
