"""Every public function and method of the library that takes tensors, read from the syntax trees."""

import ast
import re
from functools import cache
from pathlib import Path

LIB = Path(__file__).resolve().parents[1] / "lib" / "nimblelm"
CALLED = {"__init__", "__call__", "forward"}  # methods that are public under another name
Function = ast.FunctionDef | ast.AsyncFunctionDef


def rooms() -> list[str]:
    """Packages of the library."""
    return sorted(folder.name for folder in LIB.iterdir() if (folder / "__init__.py").exists())


@cache
def takes_tensors(room: str) -> list[str]:
    """Dotted names, without `nimblelm.`, of a package's public functions and methods with a tensor among the arguments.

    A tensor is what is annotated as one, a record of ours that holds one, or what is not annotated at all. Kernels are
    not functions of tensors: their launchers are. A record's own methods take the record.
    """
    words = r"\b(Tensor|" + "|".join(sorted(_records())) + r")\b"
    found = []
    for file in sorted((LIB / room).rglob("*.py")):
        module = ".".join(file.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__")
        for name, function in _public(ast.parse(file.read_text())):
            annotations = [ast.unparse(a.annotation) if a.annotation else "Tensor" for a in _arguments(function)]
            if "classmethod" not in map(ast.unparse, function.decorator_list):
                annotations.append(name.split(".")[0] if "." in name else "")
            if any(re.search(words, annotation) for annotation in annotations):
                found.append(f"{module}.{name}")
    return found


@cache
def _records() -> frozenset[str]:
    """Classes whose fields are tensors."""
    classes = [
        node
        for file in LIB.rglob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
        and (node.decorator_list or any("NamedTuple" in ast.unparse(b) for b in node.bases))
    ]
    fields = {c.name: [ast.unparse(n.annotation) for n in c.body if isinstance(n, ast.AnnAssign)] for c in classes}
    return frozenset(name for name, types in fields.items() if any("Tensor" in t for t in types))


def _public(tree: ast.Module):
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_") and not _is_kernel(node):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [
                m for m in node.body if isinstance(m, Function) and "property" not in map(ast.unparse, m.decorator_list)
            ]
            yield from ((f"{node.name}.{m.name}", m) for m in methods if m.name in CALLED or not m.name.startswith("_"))


def _is_kernel(function: Function) -> bool:
    return any("jit" in ast.unparse(decorator) for decorator in function.decorator_list)


def _arguments(function: Function) -> list[ast.arg]:
    written = function.args
    arguments = [*written.posonlyargs, *written.args, written.vararg, *written.kwonlyargs, written.kwarg]
    return [a for a in arguments if a and a.arg not in ("self", "cls")]
