"""The thread slide -> section -> symbol -> exercise -> check, read from the files that define each end.

Slides come from book/_data/slides.toml, symbols from the source of lib (parsed, not imported), exercises from each
task.toml, and checks from the decorators in visible/ and checks/.
"""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fingerprint import ROOT
from systems import chapter_page, read_systems

_CHAPTER_LINE = re.compile(r"^Chapter: (book/ch\d\d_\w+)$", re.MULTILINE)
_CHECK_DECORATORS = {"check", "speed_check"}
_KINDS = {"visible": False, "checks": True}  # folders of checks: whether they are hidden
TASK_FILES = (
    "autograder/tasks/*/task.toml",
    *(f"autograder/tasks/*/{kind}/*.py" for kind in _KINDS),
)


@dataclass(frozen=True)
class Slide:
    """A slide, or what a chapter adds to one; the letter is that of its lecture."""

    letter: str
    title: str
    section: str
    symbols: tuple[str, ...]
    exercises: tuple[str, ...]
    added: bool = False


@dataclass(frozen=True)
class Symbol:
    """A public class or function of lib: its dotted name, signature, docstring, chapter, and where it stands."""

    name: str
    signature: str
    docstring: str
    path: Path
    line: int
    members: tuple["Symbol", ...] = ()
    label: str = ""  # of its entry in the reference, where labels know no capitals

    @property
    def chapter(self) -> str | None:
        """`book/chNN_slug` from the docstring's last line, or None where the docstring does not end with one."""
        found = _CHAPTER_LINE.findall(self.docstring)
        return found[-1] if found and self.docstring.rstrip().endswith(found[-1]) else None


@dataclass(frozen=True)
class Check:
    name: str
    title: str
    hidden: bool
    points: float


@dataclass
class Exercise:
    assignment: str
    id: str
    title: str
    minutes: int
    difficulty: int
    chapter: str
    checks: list[Check] = field(default_factory=list)

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)


def read_slides(root: Path = ROOT) -> list[Slide]:
    """The slides that have a section, in the order of their lectures."""
    data = tomllib.loads((root / "book/_data/slides.toml").read_text(encoding="utf-8"))
    return [
        Slide(
            lecture["letter"],
            slide["title"],
            slide["section"],
            tuple(slide["symbols"]),
            tuple(slide["exercises"]),
            slide.get("added", False),
        )
        for lecture in data["lecture"]
        for slide in lecture["slide"]
    ]


def read_symbols(root: Path = ROOT) -> dict[str, Symbol]:
    """The public classes and functions at the top of each lib module, by dotted name; kernels are no functions."""
    symbols = {}
    for path in sorted((root / "lib").glob("nimblelm/**/*.py")):
        relative = path.relative_to(root)
        module = ".".join(path.relative_to(root / "lib").with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not (node.name.startswith("_") or _is_kernel(node)):
                symbols[f"{module}.{node.name}"] = _symbol(node, module, relative)
    labels = _labels(symbols)
    return {name: replace(symbol, label=labels[name]) for name, symbol in symbols.items()}


def _labels(names: Iterable[str]) -> dict[str, str]:
    """A label for each name; one that differs from an earlier one by capitals alone (`Clip`, `clip`) gets a number."""
    seen: Counter[str] = Counter()
    labels = {}
    for name in names:
        label = f"lib-{name.lower()}"
        seen[label] += 1
        labels[name] = label if seen[label] == 1 else f"{label}-{seen[label]}"
    return labels


def _is_kernel(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """Whether Triton compiles it: only another kernel can call it."""
    return any(ast.unparse(decorator).endswith(".jit") for decorator in node.decorator_list)


def _symbol(node: ast.ClassDef | ast.FunctionDef, prefix: str, path: Path) -> Symbol:
    members: tuple[Symbol, ...] = ()
    if isinstance(node, ast.ClassDef):
        methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")]
        members = tuple(_symbol(method, f"{prefix}.{node.name}", path) for method in methods)
    docstring = ast.get_docstring(node) or ""
    return Symbol(f"{prefix}.{node.name}", _signature(node), docstring, path, node.lineno, members)


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.ClassDef):
        init = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
        if init is not None:
            return f"{node.name}({_arguments(init)})"
        fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
        return f"{node.name}({', '.join(fields)})"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if any(getattr(decorator, "id", "") == "property" for decorator in node.decorator_list):
        return f"{node.name}{returns}"
    return f"{node.name}({_arguments(node)}){returns}"


def _arguments(function: ast.FunctionDef) -> str:
    arguments = ast.unparse(function.args)
    return re.sub(r"^(self|cls)(, )?", "", arguments)


def misleading_chapters(root: Path = ROOT) -> dict[str, str]:
    """Symbols whose docstring names a chapter that knows nothing of them, with that chapter.

    A chapter knows a symbol where its page mentions it or its module, or where one of its slides or systems names it.
    """
    symbols, misled = read_symbols(root), {}
    for name, symbol in symbols.items():
        if symbol.chapter and not _mentions(symbol, root) and symbol.chapter not in _named_in_tables(name, root):
            misled[name] = symbol.chapter
    return misled


def _mentions(symbol: Symbol, root: Path) -> bool:
    page = root / f"{symbol.chapter}.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    module, _, short = symbol.name.rpartition(".")
    package, _, file = module.rpartition(".")
    imported = rf"from {re.escape(package)} import [^\n]*\b{file}\b"
    words = (rf"\b{short}\b", rf"\b{re.escape(module)}\b", re.escape(str(symbol.path)), imported)
    return any(re.search(word, text) for word in words)


def _named_in_tables(name: str, root: Path) -> set[str]:
    """The chapters of the slides and systems that name a symbol, as `book/chNN_slug`."""
    numbers = {int(slide.section[2:4]) for slide in read_slides(root) if name in slide.symbols}
    numbers |= {s.chapter for s in read_systems(root) if any(f".{name}".endswith(f".{short}") for short in s.symbols)}
    pages = [chapter_page(number, root) for number in numbers]
    return {f"book/{page.stem}" for page in pages if page}


def read_exercises(root: Path = ROOT) -> dict[str, Exercise]:
    """Every exercise with its checks, by `assignment/exercise`."""
    exercises = {}
    for task_file in sorted(root.glob("autograder/tasks/*/task.toml")):
        task = tomllib.loads(task_file.read_text(encoding="utf-8"))
        assignment = task_file.parent.name
        for entry in task.get("exercise", []):
            exercises[f"{assignment}/{entry['id']}"] = Exercise(
                assignment, entry["id"], entry["title"], entry["minutes"], entry["difficulty"], task["chapter"]
            )
        folder = task_file.parent
        files = [(path, hidden) for kind, hidden in _KINDS.items() for path in sorted((folder / kind).glob("*.py"))]
        for path, hidden in files:
            for exercise_id, check in _read_checks(path, hidden):
                key = f"{assignment}/{exercise_id}"
                if key not in exercises:
                    raise ValueError(f"check {check.name!r} in {path} names the unknown exercise {key!r}")
                exercises[key].checks.append(check)
    return exercises


def _read_checks(path: Path, hidden: bool) -> list[tuple[str, Check]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") in _CHECK_DECORATORS:
                title = (ast.get_docstring(node) or node.name).splitlines()[0]
                points = next((k.value for k in decorator.keywords if k.arg == "points"), ast.Constant(0))
                check = Check(node.name, title, hidden, ast.literal_eval(points))
                found.append((ast.literal_eval(decorator.args[0]), check))
    return found
