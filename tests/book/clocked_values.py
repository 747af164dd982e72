"""Which values that a page quotes depend on a clock that ran while the page was built.

Cells are read, not run. A name is clocked that is assigned something computed from a clocked name, from a clock, or
from a function of lib or of the page that reads one.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_CLOCKS = {"perf_counter", "perf_counter_ns", "process_time", "monotonic"}


def clocked_values(cells: Iterable[ast.Module]) -> set[str]:
    """Patterns of the names under which clocked values are glued."""
    return _Reader().read(cells)


@cache
def clocked_functions() -> frozenset[str]:
    """Functions and methods of lib that read a clock and give what it says, by their last names."""
    found: set[str] = set()
    for path in sorted((ROOT / "lib/nimblelm").rglob("*.py")):
        if any(clock in (text := path.read_text(encoding="utf-8")) for clock in _CLOCKS):
            functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
            known = set(_CLOCKS)
            for _ in functions:  # one that calls one that calls a clock is one
                known |= {f.name for f in functions if _called(f) & known}
            found |= known - _CLOCKS
    return frozenset(found)


def _called(node: ast.AST) -> set[str]:
    calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else f.id for f in calls if isinstance(f, ast.Attribute | ast.Name)}


class _Reader:
    """Goes through a page statement by statement; assigning a name anew forgets what it was."""

    def __init__(self) -> None:
        self.clocks = _CLOCKS | clocked_functions()
        self.names: set[str] = set()
        self.glued: set[str] = set()

    def read(self, cells: Iterable[ast.Module]) -> set[str]:
        for cell in cells:
            self.block(cell.body)
        return self.glued

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef(name=name):
                if _called(node) & self.clocks:
                    self.clocks = self.clocks | {name}
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.assign(target, value)
            case ast.AugAssign(target=target, value=value):
                if self.clocked(value):
                    self.mark(target)
            case ast.For(target=target, iter=source, body=body):
                for _ in range(2):  # what the first turn fills the second reads
                    self.assign(target, source)
                    self.block(body)
            case ast.With(body=body):
                self.block(body)
            case ast.If(body=body, orelse=other):
                self.block(body)
                self.block(other)
            case ast.Expr(value=ast.Call() as call):
                self.call(call)

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        if self.clocked(value):
            self.mark(target)
        elif not isinstance(target, ast.Subscript | ast.Attribute):
            self.names -= set(_names(target))

    def mark(self, target: ast.expr) -> None:
        base = target
        while isinstance(base, ast.Subscript | ast.Attribute):
            base = base.value
        self.names |= set(_names(base))

    def call(self, call: ast.Call) -> None:
        """`glue(...)`, or a method that changes what it is called on."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(call.func, ast.Name) and call.func.id == "glue":
            if self.clocked(call.args[1]):
                self.glued.add(_pattern(call.args[0]))
        elif isinstance(call.func, ast.Attribute) and any(self.clocked(value) for value in given):
            base = call.func.value
            while isinstance(base, ast.Call | ast.Attribute | ast.Subscript):
                base = base.func if isinstance(base, ast.Call) else base.value
            self.mark(base)

    def clocked(self, value: ast.AST) -> bool:
        """A lambda only names what it will run: a clocked one is clocked by what it reads."""
        bound = {arg.arg for n in ast.walk(value) if isinstance(n, ast.Lambda) for arg in n.args.args}
        for part in ast.walk(value):
            if isinstance(part, ast.comprehension):  # what it runs over is read below
                bound |= set(_names(part.target))
        read = {n.id for n in ast.walk(value) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - bound
        return bool(read & self.names or _called(value) & self.clocks)


def _names(target: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _pattern(name: ast.expr) -> str:
    """The glued name as a pattern: what a page puts together may be anything there."""
    match name:
        case ast.Constant(value=str() as text):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".*" for p in parts)
    return ".*"
