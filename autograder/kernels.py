"""What is taken of a cell that is to hold Triton kernels: the kernels, and nothing that could compute in their place.

In Triton's interpreter a kernel is Python and could do whatever Python can. Compiled for a GPU it knows its own names,
`tl`, constants and other kernels; whoever uses more there gets an error, so here too.
"""

import ast

KNOWN = frozenset({"tl", "triton", "range", "min", "max", "abs", "int", "float", "bool", "len", "print"})
OF_TRITON = frozenset({"cdiv", "next_power_of_2", "jit"})  # beside `tl`, that is
NOT_OF_A_KERNEL = frozenset({"core", "semantic", "standard", "random", "extra", "target_info", "handle"})
Kernel = ast.FunctionDef


def kernels_only(source: str, host: str) -> str:
    """The kernels and constants of a cell, each on its own lines, and behind them the code that launches them.

    A kernel that uses what no kernel has gives way to an error that says so. A cell that cannot be read stays as it is.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    shared = _lines_of_several(body)
    kept = [node for node in body if (_is_kernel(node) or _is_constant(node)) and not shared & _lines(node)]
    names = {node.name for node in kept if isinstance(node, Kernel)}
    names |= {name.id for node in kept if not isinstance(node, Kernel) for name in ast.walk(node) if _is_stored(name)}
    lines, taken = source.splitlines(), [""] * len(source.splitlines())
    for node in kept:
        stranger = _stranger(node, names) if isinstance(node, Kernel) else None
        for number in sorted(_lines(node)):
            taken[number - 1] = lines[number - 1] if stranger is None else ""
        if stranger is not None:
            said = f"{node.name} uses `{stranger}`: a Triton kernel knows its own names, tl and other kernels"  # type: ignore[attr-defined]
            taken[node.lineno - 1] = f"raise NameError({said!r})"
    return "\n".join([*taken, host])


def _is_kernel(node: ast.stmt) -> bool:
    return isinstance(node, Kernel) and [ast.unparse(one) for one in node.decorator_list] == ["triton.jit"]


def _is_constant(node: ast.stmt) -> bool:
    """An assignment of numbers, plain or as `tl.constexpr(...)`, to names."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    value = node.value
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "tl.constexpr" and len(value.args) == 1:
        value = value.args[0]
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(isinstance(target, ast.Name) and target.id not in KNOWN for target in targets)


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


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
    nodes = list(ast.walk(kernel))
    known = KNOWN | names | {one.arg for one in nodes if isinstance(one, ast.arg)}
    known |= {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.ClassDef | ast.Lambda):
            return type(node).__name__.lower()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node is not kernel:
            return node.name
        if isinstance(node, ast.Name) and node.id not in known:
            return node.id
        if isinstance(node, ast.Attribute) and _is_foreign(node):
            return ast.unparse(node)
    return None


def _is_foreign(node: ast.Attribute) -> bool:
    """An attribute by which one gets from `tl`, `triton` or a tensor to the rest of Python."""
    if node.attr.startswith("_") or node.attr in NOT_OF_A_KERNEL:
        return True
    return isinstance(node.value, ast.Name) and node.value.id == "triton" and node.attr not in OF_TRITON
