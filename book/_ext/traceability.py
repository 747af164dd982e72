"""The thread slide -> section -> symbol -> exercise -> check, read from the files that define each end.

Slides come from book/_data/slides.toml, symbols from the source of lib (parsed, not imported), exercises from each
task.toml, and checks from the decorators in visible.py and checks.py.
"""

import ast
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from fingerprint import ROOT

_CHAPTER_LINE = re.compile(r"^Chapter: (book/ch\d\d_\w+)$", re.MULTILINE)
_CHECK_DECORATORS = {"check", "speed_check"}


@dataclass(frozen=True)
class Slide:
    lecture: str
    title: str
    section: str
    symbols: tuple[str, ...]
    exercises: tuple[str, ...]


@dataclass(frozen=True)
class Symbol:
    """A public class or function of lib: its dotted name, signature, docstring, chapter, and where it stands."""

    name: str
    signature: str
    docstring: str
    path: Path
    line: int
    members: tuple["Symbol", ...] = ()

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
    """Every slide of every lecture, in order."""
    data = tomllib.loads((root / "book/_data/slides.toml").read_text(encoding="utf-8"))
    return [
        Slide(lecture["title"], slide["title"], slide["section"], tuple(slide["symbols"]), tuple(slide["exercises"]))
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
    return symbols


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
        for file_name, hidden in (("visible.py", False), ("checks.py", True)):
            for exercise_id, check in _read_checks(task_file.parent / file_name, hidden):
                key = f"{assignment}/{exercise_id}"
                if key not in exercises:
                    raise ValueError(f"check {check.name!r} in {file_name} names the unknown exercise {key!r}")
                exercises[key].checks.append(check)
    return exercises


def _read_checks(path: Path, hidden: bool) -> list[tuple[str, Check]]:
    if not path.exists():
        return []
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
