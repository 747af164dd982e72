"""What the outputs of a page depend on: each file that its code imports, reads or includes.

Read from the syntax trees, without running anything. Imports are followed from module to module, star imports and those
inside functions too. Data is followed by its name: a file of lib, of benchmarks/results or of book/_data is read by the
code that names it in a string (`owned_name`), and one that lies in a package by all that import the package. A page
that reads anything else of the repository fails its build, see `opened_files.py`.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from fingerprint import input_files
from IPython.core.inputtransformer2 import TransformerManager

SOURCE_ROOTS = ("lib", "book", ".")  # where a page finds what it imports of ours
DATA = ("lib/**/*", "benchmarks/results/**/*", "book/_data/**/*")
_SHELVES = ("data", "checkpoints")  # folders that hold the data of many
_INCLUDE = re.compile(r"^[`:]{3,}\{literalinclude\}[ \t]+(\S+)", re.MULTILINE)
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def page_inputs(page: Path, cells: Iterable[str], root: Path) -> set[Path]:
    """The files of the repository that a page's outputs depend on, besides the page.

    Args:
        page: its file.
        cells: the source of its code cells.
        root: the repository.
    """
    transform = TransformerManager().transform_cell  # magics become calls
    trees = [ast.parse("\n".join(transform(cell) for cell in cells))]
    modules: set[Path] = set()
    found = set(_imports(trees[0], "", root))
    while found:
        modules |= found
        new = [(path, _parsed(path, path.stat().st_mtime_ns)) for path in sorted(found)]
        trees += [tree for _, tree in new]
        found = {file for path, tree in new for file in _imports(tree, _package(path, root), root)} - modules
    named = {name for tree in trees for text in _strings(tree) for name in _names(text)}
    files = [path for path in input_files(DATA, root) if path.suffix != ".py"]
    data = {p for p in files if owned_name(p, root) in named or p.parent / "__init__.py" in modules}
    included = {(page.parent / target).resolve() for target in _INCLUDE.findall(page.read_text(encoding="utf-8"))}
    return modules | data | {path for path in included if path.is_file()}


def owned_name(path: Path, root: Path) -> str:
    """The name by which code asks for a data file: its own, or that of its folder in `data/` or `checkpoints/`.

    All of `lib/nimblelm/data/checkpoints/speculative_pair/` is read by the code that says "speculative_pair", and
    `benchmarks/results/*/bench_medusa.json` by the code that says "bench_medusa".
    """
    parts = path.relative_to(root).parts
    if parts[0] == "benchmarks":
        return path.stem
    on_shelf = next((i for i, part in enumerate(parts) if part in _SHELVES), None)
    if on_shelf is None:
        return path.name
    return next(part for part in parts[on_shelf:] if part not in _SHELVES)


def _names(text: str) -> set[str]:
    """What a string names: its components as of a path, with and without their suffixes."""
    parts = PurePosixPath(text).parts if len(text) < 200 else ()
    return {name for part in parts for name in (part, PurePosixPath(part).stem)}


@cache
def _parsed(path: Path, modified: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _strings(tree: ast.Module) -> Iterator[str]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _package(path: Path, root: Path) -> str:
    """The dotted name of the package that a module lies in."""
    base = next(root / source for source in SOURCE_ROOTS if path.is_relative_to(root / source))
    return ".".join(path.parent.relative_to(base).parts)


def _imports(tree: ast.Module, package: str, root: Path) -> Iterator[Path]:
    """The files of ours that the imports of a module run, wherever in it they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name, root)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield from _files(f"{name}.{alias.name}", root)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            yield from _files(node.value, root)  # import_module("a.b"), files("a.b")
        elif isinstance(node, ast.Call) and _imports_by_name(node):
            match node.args:
                case [ast.Constant(value=str(name)), *_] if not name.startswith("."):
                    yield from _files(name, root)
                case _:
                    yield from _files(f"{package.split('.')[0]}.**", root)


def _imports_by_name(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in ("import_module", "__import__")


def _files(name: str, root: Path) -> Iterator[Path]:
    """The files that importing a dotted name runs: the `__init__` of each package on the way, then the module.

    `package.*` is all that a star import may import, `package.**` is everything in it.
    """
    parts = name.split(".")
    for base in (root / source for source in SOURCE_ROOTS):
        if not ((base / parts[0]).is_dir() or (base / f"{parts[0]}.py").is_file()):
            continue
        for i, part in enumerate(parts):
            place = base.joinpath(*parts[:i])
            if part.startswith("*"):
                yield from place.glob("*.py" if part == "*" else "**/*.py")
            else:
                yield from (f for f in (place / part / "__init__.py", place / f"{part}.py") if f.is_file())
        return
