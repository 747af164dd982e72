"""What is taken of a cell that is to hold Triton kernels: kernels and constants, nothing that computes in their place.

In Triton's interpreter a kernel is Python and could do whatever Python can. Compiled for a GPU it knows its own names,
`tl`, constants and other kernels; whoever uses more there gets an error, so here too.
"""

import ast
import re
import warnings
from functools import cache
from typing import TypeGuard

from autograder.wire.text import python_lines

KNOWN = frozenset({"tl", "triton", "range", "min", "max", "abs", "int", "float", "bool", "len", "print"})
OF_TRITON = frozenset({"cdiv", "next_power_of_2"})  # beside `tl`, that is
OF_TENSORS = frozenset({"dtype", "element_ty", "shape", "type", "value"})  # beside what a tensor's class has
NOT_OF_A_KERNEL = frozenset({"extra", "target_info"})  # of what `tl` says it is
# With these one tells a function of `tl` in the interpreter what it is to call, and with what of the interpreter's own.
OF_THE_INTERPRETER = frozenset({"member", "_semantic", "_generator"})
# What Triton's compiler knows (CodeGenerator in triton/compiler/code_generator.py), with `break` and `continue`. A list
# of what it does not know would have to name each way of Python's to an attribute or a name, such as `match`. But no
# texts that say what an object is: they tell where it lies, and pointers lead there.
OF_A_KERNEL = (ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr)
OF_A_KERNEL += (ast.If, ast.IfExp, ast.For, ast.While, ast.Pass, ast.Break, ast.Continue, ast.Assert, ast.Call)
OF_A_KERNEL += (ast.keyword, ast.Starred, ast.Attribute, ast.Subscript, ast.Slice, ast.Name, ast.Tuple, ast.List)
OF_A_KERNEL += (ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare)
OF_A_KERNEL += (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context)
OF_A_LITERAL = (ast.Constant, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp)
OF_A_LITERAL += (ast.UAdd, ast.USub, ast.Add, ast.Sub, ast.expr_context)
KNOWS = "a Triton kernel knows its own names, tl, other kernels and constants of its cell that are plain numbers"
WRITTEN = {"joinedstr": "f-string", "listcomp": "comprehension", "generatorexp": "comprehension"}  # as students say
Kernel = ast.FunctionDef


def kernels_only(source: str, host: str) -> str:
    """The kernels and constants of a cell, each on its own lines, and behind them the code that launches them.

    A kernel that uses what no kernel has gives way to an error that says so, and so does a function that the launch
    needs and that is none. A cell with a mistake of syntax stays as it is, for the worker to say where.
    """
    try:
        try:
            with warnings.catch_warnings(action="ignore"):  # none is an error: the worker has its own settings
                body = ast.parse(source).body
        except (SyntaxError, ValueError):
            return source
        return _kernels_only(body, source, host)
    except (RecursionError, MemoryError):  # what is too deep to be looked at could still be run
        return f"raise SyntaxError('the cell is nested too deeply')\n{host}"


def _kernels_only(body: list[ast.stmt], source: str, host: str) -> str:
    shared = _lines_of_several(body)
    kept = {node for node in body if any(is_such(node) for is_such in TAKEN) and not shared & _lines(node)}
    names = {node.name for node in kept if _is_kernel(node)}
    names |= {name for node in kept if _is_constant(node) for name in _stored(node)}
    ours = ast.parse(host)
    names -= {node.name for node in ours.body if isinstance(node, ast.FunctionDef)}  # what a name means in the end
    launched = {one.id for one in ast.walk(ours) if isinstance(one, ast.Name)}
    lines = python_lines(source)
    taken = [""] * len(lines)
    for node in body:
        refused = ""
        if node not in kept:
            if isinstance(node, ast.FunctionDef) and node.name in launched:
                refused = f"{node.name} is neither a Triton kernel, with @triton.jit alone, nor one return of numbers"
        elif _is_kernel(node) and (stranger := _stranger(node, names) or _start(node, lines)):
            refused = f"{node.name} uses `{stranger}`: {KNOWS}, such as -1e30"
        if refused:
            taken[node.lineno - 1] = f"raise NameError({refused!r})"
        elif node in kept:
            for number in _lines(node):
                taken[number - 1] = lines[number - 1]
    return "\n".join([*taken, host])


def _is_kernel(node: ast.stmt) -> TypeGuard[Kernel]:
    return isinstance(node, Kernel) and [_dotted(one) for one in node.decorator_list] == ["triton.jit"]


def _is_constant(node: ast.stmt) -> bool:
    """An assignment of numbers, plain or as `tl.constexpr(...)`, to names."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    if isinstance(node, ast.AnnAssign) and _dotted(node.annotation) != "tl.constexpr":
        return False
    value = node.value
    if isinstance(value, ast.Call) and _dotted(value.func) == "tl.constexpr" and len(value.args) == 1:
        if value.keywords:
            return False
        value = value.args[0]
    if not _is_literal(value):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(isinstance(target, ast.Name) and target.id not in KNOWN for target in targets)


def _is_choice(node: ast.stmt) -> bool:
    """A function without arguments that gives a constant, or says that it is not written yet."""
    if not isinstance(node, ast.FunctionDef) or node.name in KNOWN or node.decorator_list or node.returns:
        return False
    *remarks, last = node.body
    if any(vars(node.args).values()) or not all(
        isinstance(one, ast.Expr) and _is_literal(one.value) for one in remarks
    ):
        return False
    if isinstance(last, ast.Return):
        return last.value is not None and _is_literal(last.value)
    said = last.exc if isinstance(last, ast.Raise) and last.cause is None else None
    if not isinstance(said, ast.Call) or _dotted(said.func) != "NotImplementedError" or said.keywords:
        return False
    return all(map(_is_literal, said.args))


def _is_literal(value: ast.expr) -> bool:
    """Numbers, texts without `%` and containers of them. What they come to is seen where the cell runs, not here."""
    return all(isinstance(node, OF_A_LITERAL) and not _is_format(node) for node in ast.walk(value))


def _is_format(node: ast.AST) -> bool:
    """A text with `%`, into which an object could be written."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str | bytes):
        return False
    return "%" in node.value if isinstance(node.value, str) else b"%" in node.value


TAKEN = (_is_kernel, _is_constant, _is_choice)


def _stored(node: ast.AST) -> set[str]:
    """The names that are assigned to in it."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def _lines(node: ast.stmt) -> set[int]:
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    return set(range(first, (node.end_lineno or first) + 1))


def _lines_of_several(body: list[ast.stmt]) -> set[int]:
    """Lines on which more than one statement stands."""
    seen: set[int] = set()
    shared: set[int] = set()
    for node in body:
        shared |= seen & _lines(node)
        seen |= _lines(node)
    return shared


def _stranger(kernel: Kernel, names: set[str]) -> str | None:
    """The first thing in a kernel that kernels do not have."""
    for default in filter(None, (*kernel.args.defaults, *kernel.args.kw_defaults)):
        if not isinstance(default, ast.Constant):
            return _dotted(default)
    parts = (one for one in ast.iter_child_nodes(kernel) if one not in kernel.decorator_list)
    nodes = [node for part in parts for node in ast.walk(part)]
    remarks = {one.value for one in nodes if isinstance(one, ast.Expr)}
    annotations = [kernel.returns, *(one.annotation for one in nodes if isinstance(one, ast.arg))]
    for annotation in filter(None, annotations):
        if _dotted(annotation) != "tl.constexpr":
            return _dotted(annotation)
    known = KNOWN | names | {one.arg for one in nodes if isinstance(one, ast.arg)} | _stored(kernel)
    for node in nodes:
        if _is_format(node) and node not in remarks:
            return "%"
        if not isinstance(node, OF_A_KERNEL):
            kind = type(node).__name__.lower()
            return WRITTEN.get(kind, kind)
        if isinstance(node, ast.FunctionDef):
            return node.name
        if isinstance(node, ast.keyword) and (node.arg is None or node.arg in OF_THE_INTERPRETER):
            return node.arg or "**"
        if isinstance(node, ast.Name) and node.id not in known:
            return node.id
        if isinstance(node, ast.Attribute) and _is_foreign(node):
            return _dotted(node)
    return None


def _start(kernel: Kernel, lines: list[str]) -> str | None:
    """What lets a kernel begin elsewhere for Triton, which reads its text again, than for Python.

    Triton's interpreter takes the last line that begins with `def `, be it within a string, and its compiler the first.
    """
    numbers = sorted(_lines(kernel))
    if not lines[numbers[0] - 1].startswith("@"):
        return "@"
    starts = [number for number in numbers if re.match(r"\s*def\b", lines[number - 1])]
    if starts != [kernel.lineno] or not re.match(r"def +\w+ *\(", lines[kernel.lineno - 1]):
        return "def"
    return None


def _dotted(node: ast.expr) -> str:
    """A name with its attributes as it is written; any other expression as its kind."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else type(node).__name__.lower()


def _is_foreign(node: ast.Attribute) -> bool:
    """An attribute by which one gets from `tl`, `triton` or a tensor to the rest of Python, or changes them."""
    of_triton = isinstance(node.value, ast.Name) and node.value.id == "triton"
    return node.attr not in (OF_TRITON if of_triton else _attributes()) or not isinstance(node.ctx, ast.Load)


@cache
def _attributes() -> frozenset[str]:
    """The names that stand behind a point in kernels: what `tl` has for them, and what tensors do."""
    from triton import language

    of_tensors = {name for name in dir(language.tensor) if not name.startswith("_")}
    return (frozenset(language.__all__) | of_tensors | OF_TENSORS) - NOT_OF_A_KERNEL
