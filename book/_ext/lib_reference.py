"""`{lib-reference}`: every public symbol of lib, by module, with an anchor that other pages link to."""

from typing import Any

from docutils import nodes
from generated_markdown import GeneratedMarkdown
from sphinx.application import Sphinx
from traceability import Symbol, read_symbols


class LibReference(GeneratedMarkdown):
    """Every public symbol, by room and module: signature, docstring, file and line; before them the modules' names."""

    def run(self) -> list[nodes.Node]:
        self.depends_on("lib/nimblelm/**/*.py")
        rooms: dict[str, dict[str, list[Symbol]]] = {}
        for symbol in read_symbols().values():
            module = symbol.name.rsplit(".", 1)[0]
            rooms.setdefault(module.split(".")[1], {}).setdefault(module, []).append(symbol)
        contents = nodes.bullet_list("", *(_names(room, list(modules)) for room, modules in rooms.items()))
        return [contents, *(self.room(room, modules) for room, modules in rooms.items())]

    def room(self, name: str, modules: dict[str, list[Symbol]]) -> nodes.section:
        section = _section(name)
        for module, symbols in modules.items():
            inner = _section(module)
            for symbol in symbols:
                inner += self.entry(symbol)
            section += inner
        return section

    def entry(self, symbol: Symbol) -> list[nodes.Node]:
        anchor = nodes.make_id(symbol.label)
        short = symbol.name.rsplit(".", 1)[-1]
        standard: Any = self.env.get_domain("std")
        standard.note_hyperlink_target(symbol.label, self.env.docname, anchor, short)
        heading = nodes.rubric("", "", nodes.literal(text=short), ids=[anchor], classes=["lib-symbol"])
        text = f"{symbol.signature}\n\n{symbol.docstring}"
        for member in symbol.members:
            text += f"\n\n.{member.signature}\n" + "\n".join(f"    {line}" for line in member.docstring.splitlines())
        block = nodes.literal_block(text, text, language="text", classes=["lib-docstring"])
        place = nodes.paragraph("", "", nodes.literal(text=f"{symbol.path}:{symbol.line}"))
        return [heading, place, block]


def _section(name: str) -> nodes.section:
    return nodes.section("", nodes.title(text=name), ids=[nodes.make_id(name)], names=[name])


def _names(room: str, modules: list[str]) -> nodes.list_item:
    """A room and its modules, each a link to its section."""
    line = nodes.paragraph("", "", nodes.strong("", "", _link(room, room)), nodes.Text(": "))
    for module in modules:
        after = nodes.Text("" if module == modules[-1] else ", ")
        line += [_link(module, module.removeprefix(f"nimblelm.{room}.")), after]
    return nodes.list_item("", line)


def _link(name: str, text: str) -> nodes.reference:
    return nodes.reference("", text, internal=True, refid=nodes.make_id(name))


def setup(app: Sphinx) -> None:
    app.add_directive("lib-reference", LibReference)
