"""Every public function, method and record of the library that takes a real number, read from the syntax trees."""

import ast
import re
from pathlib import Path

LIB = Path(__file__).resolve().parents[1] / "lib" / "nimblelm"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def takes_numbers() -> dict[str, list[str]]:
    """Dotted name, without `nimblelm.`, -> its arguments annotated with float; of a dataclass its fields."""
    found = {}
    for file in sorted(LIB.rglob("*.py")):
        module = ".".join(file.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                for name, arguments in _of(node):
                    if names := [name for name, kind in arguments if kind and re.search(r"\bfloat\b", kind)]:
                        found[f"{module}.{name}"] = names
    return found


def _of(node: Function | ast.ClassDef):
    if isinstance(node, Function):
        if not any("jit" in ast.unparse(decorator) for decorator in node.decorator_list):
            yield node.name, _arguments(node)
        return
    fields = [(n.target.id, ast.unparse(n.annotation)) for n in node.body if _is_field(n)]
    if node.decorator_list or any("NamedTuple" in ast.unparse(base) for base in node.bases):
        yield node.name, fields
    for method in node.body:
        if isinstance(method, Function) and (method.name in ("__init__", "__call__") or method.name[0] != "_"):
            yield (node.name if method.name == "__init__" else f"{node.name}.{method.name}"), _arguments(method)


def _is_field(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


def _arguments(function: Function) -> list[tuple[str, str]]:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [(a.arg, ast.unparse(a.annotation)) for a in arguments if a.annotation]
