"""Which of our files stand behind something: what a student's check needs, what a judge's verdict depends on."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent
JUDGE_SIDE = ("judge", "nursery")  # the judge starts the nursery of workers as a program, so no import leads there


def modules_behind(*starts: Path | str) -> list[Path]:
    """The modules of this package that are reached by imports from the given modules (by name) or files."""
    waiting: list[Path] = [PACKAGE / "__init__.py"]
    waiting += [PACKAGE / f"{start}.py" if isinstance(start, str) else start for start in starts]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file():
            found.add(path)
            waiting += [PACKAGE / f"{name}.py" for name in _imports(path)]
    return sorted(path for path in found if path.parent == PACKAGE)


def judge_version(tasks: Path, lib: Path) -> str:
    """SHA-256 over everything on the judge's side: its code, one assignment's task files, and lib with its weights."""
    digest = hashlib.sha256()
    for path in modules_behind(*JUDGE_SIDE):
        _add(digest, f"autograder/{path.name}", path)
    for folder in (tasks, lib):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and "mutants" not in path.parts:
                _add(digest, str(path.relative_to(folder)), path)
    return digest.hexdigest()


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "autograder":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autograder."):
            yield str(node.module).removeprefix("autograder.")


def _add(digest: "hashlib._Hash", name: str, path: Path) -> None:
    content = path.read_bytes()
    digest.update(f"{name}\n{len(content)}\n".encode())
    digest.update(content)
