"""The systems that the lectures name: which run in lib, which test proves each, which exercise grades it.

The table is book/_data/systems.toml.
"""

import ast
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fingerprint import ROOT


@dataclass(frozen=True)
class System:
    """A row of the table; what only a row that works names is empty where it is planned."""

    name: str
    lectures: str
    chapter: int
    status: str
    symbols: tuple[str, ...] = ()
    proof: str = ""
    graded: tuple[str, ...] = ()
    shown: str = ""
    words: str = ""

    @property
    def works(self) -> bool:
        return self.status == "works"


def read_systems(root: Path = ROOT) -> list[System]:
    """Every row, in the order of the chapters."""
    rows = tomllib.loads((root / "book/_data/systems.toml").read_text(encoding="utf-8"))["system"]
    return [System(**row | {key: tuple(row.get(key, ())) for key in ("symbols", "graded")}) for row in rows]


def chapter_page(number: int, root: Path = ROOT) -> Path | None:
    """The page of a chapter, or None while it is not written."""
    return next((root / "book").glob(f"ch{number:02d}_*.md"), None)


def full_name(short: str, names: Iterable[str]) -> str:
    """The one dotted name that ends with a short one.

    Raises:
        ValueError: none does, or more than one.
    """
    found = [name for name in names if name == short or name.endswith(f".{short}")]
    if len(found) != 1:
        raise ValueError(f"{short!r} names {found or 'nothing'} of lib")
    return found[0]


def is_test(node: str, root: Path = ROOT) -> bool:
    """Whether pytest collects `tests/.../test_file.py::test_name`: a function at the top of that file."""
    path, _, name = node.partition("::")
    file = root / path
    if not (path.startswith("tests/") and file.name.startswith("test_") and file.is_file() and name.startswith("test")):
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(isinstance(part, ast.FunctionDef) and part.name == name for part in tree.body)


def loose_ends(system: System, symbols: Iterable[str], exercises: Iterable[str], root: Path = ROOT) -> list[str]:
    """What is wrong with a row, a sentence each; nothing where every link leads somewhere."""
    page = chapter_page(system.chapter, root)
    if not system.works:
        late = system.status != "planned" or page is not None
        return [f"is {system.status!r}, and chapter {system.chapter} is written"] if late else []
    wrong = [] if page else [f"works, and chapter {system.chapter} is not written"]
    said = " ".join(page.read_text(encoding="utf-8").split()).casefold() if page else ""
    if (system.words or system.name).casefold() not in said:
        wrong.append(f"is never called {system.words or system.name!r} in chapter {system.chapter}")
    for short in system.symbols or ("",):
        try:
            full_name(short, symbols)
        except ValueError as error:
            wrong.append(str(error))
    if not is_test(system.proof, root):
        wrong.append(f"has no test {system.proof!r}")
    wrong += [f"names the unknown exercise {name!r}" for name in system.graded if name not in exercises]
    if bool(system.graded) == bool(system.shown):
        wrong.append("is either graded or shown, with a reason")
    return wrong
