"""`{lib-reference}`: every public symbol of lib, by module, with an anchor that other pages link to."""

from typing import Any

from docutils import nodes
from generated_markdown import GeneratedMarkdown
from sphinx.application import Sphinx
from traceability import Symbol, read_symbols


class LibReference(GeneratedMarkdown):
    """Every public symbol, by module: signature, docstring, file and line."""

    def run(self) -> list[nodes.Node]:
        self.depends_on("lib/nimblelm/**/*.py")
        modules: dict[str, list[Symbol]] = {}
        for symbol in read_symbols().values():
            modules.setdefault(symbol.name.rsplit(".", 1)[0], []).append(symbol)
        sections = []
        for module, members in modules.items():
            section = nodes.section("", nodes.title(text=module), ids=[nodes.make_id(module)], names=[module])
            for symbol in members:
                section += self.entry(symbol)
            sections.append(section)
        return sections

    def entry(self, symbol: Symbol) -> list[nodes.Node]:
        anchor = nodes.make_id(f"lib-{symbol.name}")
        short = symbol.name.rsplit(".", 1)[-1]
        standard: Any = self.env.get_domain("std")
        standard.note_hyperlink_target(f"lib-{symbol.name.lower()}", self.env.docname, anchor, short)
        heading = nodes.rubric("", "", nodes.literal(text=short), ids=[anchor], classes=["lib-symbol"])
        text = f"{symbol.signature}\n\n{symbol.docstring}"
        for member in symbol.members:
            text += f"\n\n.{member.signature}\n" + "\n".join(f"    {line}" for line in member.docstring.splitlines())
        block = nodes.literal_block(text, text, language="text", classes=["lib-docstring"])
        place = nodes.paragraph("", "", nodes.literal(text=f"{symbol.path}:{symbol.line}"))
        return [heading, place, block]


def setup(app: Sphinx) -> None:
    app.add_directive("lib-reference", LibReference)
