"""Who may import whom, read from the syntax trees."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIB = ROOT / "lib" / "nimblelm"
ALLOWED = {  # package of lib -> packages of lib that it may import
    "kernels": set(),
    "measure": set(),
    "data": set(),
    "nn": {"kernels"},
    "inference": {"nn", "kernels", "data"},
    "compression": {"nn", "kernels", "data"},
    "vision": {"nn", "kernels", "inference", "data"},
    "audio": {"nn", "kernels", "inference", "data"},
    "multimodal": {"nn", "kernels", "inference", "compression", "vision", "audio", "data"},
}
GPU_NODE_LACKS = {"nbgrader", "nbformat", "jupytext", "beartype", "pydantic", "submitit"}


def imported_modules(file: Path) -> set[str]:
    """Dotted names of all that a file imports, `from a import b` as both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def packages_of_ours(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("nimblelm.")} & ALLOWED.keys()


@pytest.mark.parametrize("package", sorted(p.name for p in LIB.iterdir() if p.is_dir() and p.name != "__pycache__"))
def test_packages_of_lib_import_only_what_lies_below_them(package):
    for file in (LIB / package).rglob("*.py"):
        names = imported_modules(file)
        above = packages_of_ours(names) - ALLOWED[package] - {package}
        assert not above, f"{file.relative_to(ROOT)} imports {above}"
        assert not {n.split(".")[0] for n in names} & {"autograder", "book_tools", "benchmarks", "solutions"}
        if package == "kernels":
            allowed = {"torch", "triton", "jaxtyping", "nimblelm", "typing", "math", "dataclasses"}
            assert {n.split(".")[0] for n in names} <= allowed


def test_what_runs_on_a_gpu_node_imports_nothing_that_the_node_lacks():
    judge_side = [
        ROOT / "autograder" / f"{n}.py" for n in ("engine", "protocol", "sandbox", "worker", "judge", "timing")
    ]
    for file in [*LIB.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py"), *judge_side]:
        lacking = {name.split(".")[0] for name in imported_modules(file)} & GPU_NODE_LACKS
        assert not lacking, f"{file.relative_to(ROOT)} imports {lacking}"


def test_nobody_imports_the_student_notebooks():
    for folder in ("lib", "autograder", "book", "benchmarks", "training", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            assert not any(name.split(".")[0] == "assignments" for name in imported_modules(file)), file
