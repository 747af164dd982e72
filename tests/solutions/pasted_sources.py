"""What a student could paste unread: each module of the library, and each cell of a chapter with what it stands on."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """Text that can be pasted; `offers` are the functions and classes that it is pasted for."""

    name: str
    text: str
    offers: frozenset[str]


def library_sources() -> list[Source]:
    """Every module of the library that defines something."""
    paths = sorted((ROOT / "lib" / "nimblelm").rglob("*.py"))
    return [
        Source(str(path.relative_to(ROOT)), text, names)
        for path in paths
        if (names := defined(text := path.read_text()))
    ]


def chapter_sources() -> list[Source]:
    """Every cell of every chapter that defines something, on top of what the cells before it define.

    Of a chapter the definitions are pasted, and what they are made from. Its measurements and figures answer nothing.
    """
    import jupytext

    sources = []
    for chapter in sorted((ROOT / "book").glob("ch*.md")):
        notebook = jupytext.read(chapter, fmt="md:myst")
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        for number, cell in enumerate(cells):
            if names := defined(cell):
                text = needed_for(names, "\n".join(cells[: number + 1]))
                sources.append(Source(f"{chapter.name}, cell {number}", text, names))
    return sources


def defined(text: str) -> frozenset[str]:
    """The functions and classes of a text."""
    return frozenset(node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef))


def needed_for(names: frozenset[str], text: str) -> str:
    """The statements of a text that those names are made from, in their order: the last that binds each name."""
    missing, kept = set(names), []
    for node in reversed(ast.parse(text).body):
        if _binds(node) & missing:
            missing = (missing - _binds(node)) | _free_names(node)
            kept.append(ast.unparse(node))
    return "\n".join(reversed(kept))


def _free_names(node: ast.stmt) -> set[str]:
    """Names that a statement reads and does not bind itself, nor any function in it."""
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    arguments = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    return {part.id for part in names} - {part.id for part in names if isinstance(part.ctx, ast.Store)} - arguments


def _binds(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(name.asname or name.name).split(".")[0] for name in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return set()
