"""A chapter's source taken apart: cells, directives, headings, and which quoted values the page's own clock decides."""

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.book.clocked_values import clocked_values

ROOT = Path(__file__).resolve().parents[2]
_CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::tags: \[(?P<tags>[^\]]*)\]\n+)?(?P<code>.*?)^```$", re.M | re.S)
_DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}(?P<argument>[^\n]*)\n(?P<body>.*?)^(?P=fence)$", re.M | re.S
)
_QUOTED = re.compile(r"\{glue:\w*\}`([^`:]+)")
_HIDDEN, _FOLDED = {"remove-cell"}, {"hide-input", "remove-input"}


@dataclass(frozen=True)
class Cell:
    code: str
    tags: frozenset[str]

    @property
    def seen(self) -> bool:
        """Whether a reader sees its code without unfolding anything."""
        return not self.tags & (_HIDDEN | _FOLDED)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse("\n".join("pass" if line.startswith(("%", "!")) else line for line in self.code.split("\n")))

    @property
    def imports(self) -> bool:
        return any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(self.tree))

    @property
    def shows(self) -> bool:
        """Whether it displays something by a call of its own: a figure, a table, a text, a sound."""
        called = (ast.unparse(n.func).rpartition(".")[2] for n in ast.walk(self.tree) if isinstance(n, ast.Call))
        return any(name.startswith(("show", "draw", "play", "display")) or name in ("HTML", "Audio") for name in called)


@dataclass(frozen=True)
class Directive:
    name: str
    argument: str
    body: str


class ChapterPage:
    """book/chNN_slug.md, read and never run."""

    def __init__(self, text: str):
        self.text = text

    @cached_property
    def cells(self) -> list[Cell]:
        return [
            Cell(m["code"], frozenset(tag.strip() for tag in (m["tags"] or "").split(",") if tag.strip()))
            for m in _CELL.finditer(self.text)
        ]

    @cached_property
    def prose(self) -> str:
        """The page without its cells."""
        return _CELL.sub("", self.text)

    @cached_property
    def directives(self) -> list[Directive]:
        return [Directive(m["name"], m["argument"].strip(), m["body"]) for m in _DIRECTIVE.finditer(self.prose)]

    def named(self, name: str) -> list[Directive]:
        return [directive for directive in self.directives if directive.name == name]

    @cached_property
    def first_screen(self) -> str:
        """What stands before the first section."""
        return re.split(r"^## ", self.text, maxsplit=1, flags=re.M)[0]

    def section(self, title: str) -> str:
        """The text under a heading, up to the next one of its level; empty where there is none."""
        found = re.search(rf"^## {re.escape(title)}\s*\n(.*?)(?=^## |\Z)", self.prose, re.M | re.S)
        return found[1] if found else ""

    @cached_property
    def blocks(self) -> list[str]:
        """Paragraphs and tables: what stands between empty lines."""
        return [block for block in re.split(r"\n\s*\n", self.prose) if block.strip()]

    def clocked_sentences(self) -> list[str]:
        """Names of values that the page's own clock decided, quoted outside a table that says so."""
        clocked = clocked_values([cell.tree for cell in self.cells])
        loose = []
        for before, block in zip(["", *self.blocks], self.blocks, strict=False):
            labelled = block.lstrip().startswith("|") and "this page" in f"{before}\n{block}"
            if not labelled:
                loose += [name for name in _QUOTED.findall(block) if any(re.fullmatch(one, name) for one in clocked)]
        return loose
