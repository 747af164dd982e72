"""Where the names of a graded cell come from: what it takes from other cells, and which packages it imports.

It works on text, without parsing it as Python, and rather overlooks a name than accuses a cell of one that is its own.
"""

import builtins
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from autograder.cells.source import Statement, as_graded, statements
from autograder.runtime.student_builtins import ONLY_SHOWN, no_such_package

MAX_NAME = 60
MAX_STATEMENT = 500  # characters of one that are looked at: patterns may take long on a text made for that
MAX_OWN_CHARS = 400_000  # of all other cells together
_WORD = r"[^\W\d]\w*"
_NAME = re.compile(rf"(?<![\w.]){_WORD}")  # no attribute
_TARGETS = re.compile(r"\s*([\w\s,()*\[\]]+?)\s*(?::[^=]+)?=(?!=)")
_ANNOTATED = re.compile(rf"({_WORD})\s*:")
_DEFINED = re.compile(rf"(?:async\s+)?(?:def|class)\s+({_WORD})")
_IMPORT = re.compile(r"\s*import\s+(.+)", re.S)
_FROM = re.compile(r"\s*from\s+([\w.]+)\s+import\s+(.+)", re.S)
_PARAMETERS = re.compile(r"\bdef\s+\w+\s*\((.*)\)\s*(?:->.*)?:|\blambda\b([^:]*):", re.S)
_KEYWORD = re.compile(rf"(?<!\w)({_WORD})\s*(?:[-+*/%@&|^]|//|\*\*|<<|>>)?:?=(?!=)")
_AS = re.compile(rf"\bas\s+({_WORD})")
_FOR = re.compile(r"\bfor\s+(.+?)\s+in\b", re.S)


@dataclass(frozen=True)
class Own:
    """A code cell of a notebook beside the graded one: what it is called in a sentence, and its source."""

    label: str
    source: str


@lru_cache(maxsize=64)  # each exercise of a notebook asks for all its other cells
def bound_names(source: str) -> Mapping[str, str]:
    """The names that a cell gives to the whole notebook, each with the verb of how: defines, imports or sets."""
    found: dict[str, str] = {}
    for statement, bare in _statements(source):
        if not statement.indent:
            found |= {name[:MAX_NAME]: verb for name, verb in _bound(bare) if name.isidentifier()}
    return MappingProxyType(found)


def borrowed(
    name: str, source: str, cells: Iterable[Own], given: Iterable[str], wanted: Iterable[str] = ()
) -> list[str]:
    """A remark on each name that a graded cell takes from another cell: there it works, in grading it is missing.

    Args:
        name: of the exercise.
        source: of its cell.
        cells: the other cells, in the order in which they run.
        given: names that the grader has, too.
        wanted: names that the cell is to define.
    """
    used = _free(source) - set(given) - set(dir(builtins)) | set(wanted) - bound_names(source).keys()
    there, left = dict[str, tuple[str, str]](), MAX_OWN_CHARS
    for cell in cells:
        if used and len(cell.source) <= left:
            left -= len(cell.source)
            there |= {word: (cell.label, verb) for word, verb in bound_names(cell.source).items()}
    return [
        f"The cell of {name!r} {'lacks' if word in wanted else 'mentions'} {word!r}, which {' '.join(there[word])}. "
        f"Each exercise is graded from its own cell alone: move {word!r} into it."
        for word in sorted(used & there.keys())
    ]


def import_remarks(source: str, is_there: Callable[[str], bool]) -> list[str]:
    """A remark on each package that a cell imports and that is not there where it is graded."""
    remarks: dict[str, str] = {}
    for statement, bare in _statements(source):
        for package in _packages(bare):
            if not is_there(package):
                harmless = "What it draws or shows is left out there." if package in ONLY_SHOWN else ""
                harmless = harmless or "Do without it in this cell."
                remarks.setdefault(package, f"Line {statement.line}: {no_such_package(package[:MAX_NAME])}. {harmless}")
    return list(remarks.values())


def _statements(source: str) -> Iterator[tuple[Statement, str]]:
    """The logical lines of a cell as it is graded, and as much as is looked at of each.

    Every blank is a single one: where two patterns for blanks meet, a long one would be cut in two at every place.
    """
    for statement in statements(as_graded(source).text):
        yield statement, " ".join(statement.bare.split())[:MAX_STATEMENT]


def _packages(bare: str) -> Iterator[str]:
    for part in bare.split(";"):
        if found := _FROM.match(part):
            yield found[1].partition(".")[0]
        elif found := _IMPORT.match(part):
            for one in found[1].split(","):
                if word := re.match(_WORD, one.strip()):
                    yield word[0]


def _bound(bare: str) -> Iterator[tuple[str, str]]:
    """The names that a statement without indent binds, and how."""
    for part in map(str.strip, bare.split(";")):
        if found := _DEFINED.match(part):
            yield found[1], "defines"
        elif found := _FROM.match(part):
            yield from ((name, "imports") for name in _imported(found[2]))
        elif found := _IMPORT.match(part):
            yield from ((name.partition(".")[0], "imports") for name in _imported(found[1]))
        else:
            yield from ((name, "sets") for name in _assigned(part))


def _assigned(part: str) -> Iterator[str]:
    for found in _FOR.finditer(part):
        yield from _NAME.findall(found[1])
    yield from _AS.findall(part)
    while found := _TARGETS.match(part):  # a = b = 1
        yield from _NAME.findall(found[1])
        part = part[found.end() :]
    if found := _ANNOTATED.match(part):
        yield found[1]


def _imported(listed: str) -> list[str]:
    """`a as b, c` binds b and c."""
    return [part.split()[-1] for part in listed.replace("(", " ").replace(")", " ").split(",") if part.split()]


def _free(source: str) -> set[str]:
    """The names that a cell uses and that nothing in it binds, be it a parameter or a keyword of the same name."""
    used: set[str] = set()
    own: set[str] = set()
    for _, bare in _statements(source):
        own |= {name for name, _ in _bound(bare)} | set(_KEYWORD.findall(bare)) | set(_AS.findall(bare))
        for found in _FOR.finditer(bare):
            own |= set(_NAME.findall(found[1]))
        for found in _PARAMETERS.finditer(bare):
            own |= set(_NAME.findall(re.sub(r"[=:][^,]*", "", found[1] or found[2] or "")))  # without defaults
        if not (_FROM.match(bare) or _IMPORT.match(bare)):
            used |= set(_NAME.findall(bare))
    return used - own


def given_names(sources: Iterable[str]) -> set[str]:
    """All that some cells bind together."""
    return {name for source in sources for name in bound_names(source)}
