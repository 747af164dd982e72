"""Who may import whom, read from the syntax trees."""

import ast
import tomllib
from pathlib import Path

import pytest

from autograder import LONE, NODE, ROOMS, rooms_in
from autograder.checks.task_files import kept, shipped

ROOT = Path(__file__).resolve().parents[1]
AUTOGRADER = ROOT / "autograder"
TASKS = AUTOGRADER / "tasks"
LIB = ROOT / "lib" / "nimblelm"
ALLOWED = {  # package of lib -> packages of lib that it may import
    "kernels": set(),
    "measure": set(),
    "data": set(),
    "nn": {"kernels"},
    "language": {"kernels", "nn"},
    "inference": {"kernels", "nn", "language", "data"},
    "compression": {"kernels", "nn", "language", "inference", "data"},
    "vision": {"kernels", "nn", "language", "inference", "data"},
    "control": {"kernels", "nn", "data"},
    "audio": {"kernels", "nn", "language", "inference", "data"},
    "multimodal": {"kernels", "nn", "language", "inference", "compression", "vision", "audio", "data"},
}
SEEN_BY = {  # part of a task -> parts of the same task; setup and hosts run in the sandbox, where there are none
    "visible": ("visible",),  # they ship without the others
    "oracles": ("visible", "oracles"),
    "checks": ("visible", "oracles", "checks"),
}
GPU_NODE_LACKS = {"nbgrader", "nbformat", "jupytext", "beartype", "pydantic", "submitit"}


def imported_by(file: Path) -> set[str]:
    return imported_modules(file.read_text(encoding="utf-8"), str(file))


def imported_modules(source: str, name: str = "") -> set[str]:
    """Dotted names of all that a source imports, `from a import b` as both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def above(package: str, names: set[str]) -> set[str]:
    """The packages of lib that stand among the names and that a package of lib may not import."""
    ours = {name.split(".")[1] for name in names if name.startswith("nimblelm.")} & ALLOWED.keys()
    return ours - ALLOWED[package] - {package}


@pytest.mark.parametrize("package", sorted(p.name for p in LIB.iterdir() if p.is_dir() and p.name != "__pycache__"))
def test_packages_of_lib_import_only_what_lies_below_them(package):
    for file in (LIB / package).rglob("*.py"):
        names = imported_by(file)
        assert not above(package, names), f"{file.relative_to(ROOT)} imports {above(package, names)}"
        assert not {n.split(".")[0] for n in names} & {"autograder", "book_tools", "benchmarks", "solutions"}
        if package == "kernels":
            allowed = {"torch", "triton", "jaxtyping", "nimblelm", "typing", "math", "dataclasses"}
            assert {n.split(".")[0] for n in names} <= allowed


@pytest.mark.parametrize("package", ALLOWED)
def test_an_import_across_any_boundary_of_lib_is_found(package):
    for other in ALLOWED.keys() - {package}:
        planted = imported_modules(f"from nimblelm.{other} import part")
        assert above(package, planted) == ({other} - ALLOWED[package])


def modules_of_the_autograder() -> list[Path]:
    """The files of its rooms and those beside them; tasks and answers are no modules of its own."""
    return [*AUTOGRADER.glob("*.py"), *(file for room in ROOMS for file in (AUTOGRADER / room).rglob("*.py"))]


def strangers(file: Path, source: str) -> set[str]:
    """What a module of the autograder imports of it and may not, by the map in `autograder/__init__.py`."""
    home = file.relative_to(AUTOGRADER).with_suffix("").parts[0]
    allowed = {home, *(ROOMS | LONE)[home].imports}
    ours = {name.removeprefix("autograder.") for name in imported_modules(source) if name.startswith("autograder.")}
    return {
        name
        for name in ours
        if name.split(".")[0] in ROOMS | LONE
        and not any(f"{name}.".startswith(f"{one}.") for one in allowed)
        and not any(one.startswith(f"{name}.") for one in allowed)
    }


def modules_of_tasks() -> list[Path]:
    """What runs of the tasks: setups, hosts, checks and oracles."""
    return [path for task in sorted(TASKS.iterdir()) for path in [*shipped(task), *kept(task)] if path.suffix == ".py"]


def strangers_of_a_task(file: Path, source: str) -> set[str]:
    """What a file of a task imports of the autograder, or of the tests, and may not."""
    home, kind, *_ = file.relative_to(TASKS).with_suffix("").parts
    parts = SEEN_BY.get(kind, ())
    allowed = [*(["autograder.checks"] if parts else []), *(f"autograder.tasks.{home}.{part}" for part in parts)]
    ours = {name for name in imported_modules(source) if name.split(".")[0] in ("autograder", "tests")}
    return {name for name in ours if not any(_within(name, one) or _within(one, name) for one in allowed)}


def _within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


@pytest.mark.parametrize("file", modules_of_tasks(), ids=lambda file: str(file.relative_to(TASKS)))
def test_a_file_of_a_task_imports_only_what_lies_where_it_runs(file):
    assert not strangers_of_a_task(file, file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("file", "planted"),
    [
        ("setup.py", "from autograder.checks import integer"),
        ("visible/tree.py", "from autograder.tasks.a03_medusa_heads.oracles import walk"),
        ("visible/tree.py", "from autograder.tasks.a03_medusa_heads.checks.tree import forests"),
        ("visible/tree.py", "from autograder.tasks.a02_speculative_decoding.visible.shared import markov"),
        ("checks/tree.py", "from autograder.judge.sandbox import Limits"),
        ("oracles.py", "import autograder.tasks.a02_speculative_decoding.oracles"),
        ("oracles.py", "from tests.autograder.toy import TOY"),
    ],
)
def test_an_import_that_a_task_may_not_have_is_found(file, planted):
    assert strangers_of_a_task(TASKS / "a03_medusa_heads" / file, planted)


def test_every_folder_of_the_autograder_is_on_its_map():
    folders = {path.parent.name for path in AUTOGRADER.glob("*/__init__.py")}
    assert folders == set(ROOMS)
    assert {path.stem for path in AUTOGRADER.glob("*.py")} == set(LONE)
    declared = tomllib.loads((AUTOGRADER / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(declared) == {"autograder", *(f"autograder.{room}" for room in ROOMS)}


@pytest.mark.parametrize("file", modules_of_the_autograder(), ids=lambda file: str(file.relative_to(AUTOGRADER)))
def test_a_module_of_the_autograder_imports_only_what_the_map_allows(file):
    assert not strangers(file, file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("file", "planted"),
    [
        ("wire/text.py", "from autograder.runtime import device"),
        ("worker/main.py", "from autograder.checks import load_task"),
        ("runtime/execution.py", "def late():\n    from autograder.judge.sandbox import Limits"),
        ("judge/judge.py", "from autograder.controller.course import Course"),
        ("judge/judge.py", "import autograder.controller.ledger"),
        ("controller/grading.py", "from autograder.judge.sandbox import state"),
        ("controller/grading.py", "from autograder.judge import sandbox"),
        ("controller/appeal.py", "from autograder.reports import feedback"),
        ("reports/terminal.py", "if TYPE_CHECKING:\n    from autograder.assurance.mutants import KillMatrix"),
        ("student/commands.py", "from autograder.controller.course import Course"),
        ("check.py", "from autograder.judge.job import JobFile"),
        ("cells/source.py", "from autograder import check"),
    ],
)
def test_an_import_across_a_boundary_is_found(file, planted):
    assert strangers(AUTOGRADER / file, planted)


@pytest.mark.parametrize("home", [*ROOMS, *LONE])
def test_an_import_across_any_boundary_of_the_map_is_found(home):
    file = AUTOGRADER / (f"{home}/any.py" if home in ROOMS else f"{home}.py")
    for other in (ROOMS | LONE).keys() - {home, "__init__"}:
        planted = f"def late():\n    import autograder.{other}{'.any' * (other in ROOMS)}"
        assert bool(strangers(file, planted)) == (other not in (ROOMS | LONE)[home].imports), other


@pytest.mark.parametrize("name", [*ROOMS, *LONE])
def test_a_room_is_everywhere_with_all_that_it_may_import(name):
    known = ROOMS | LONE
    for needed in known[name].imports:
        lacking = known[name].places - known[needed.split(".")[0]].places
        assert not lacking, f"{name} runs in {lacking}, where there is no {needed}"


def test_what_runs_on_a_gpu_node_imports_nothing_that_the_node_lacks():
    judge_side = [file for room in rooms_in(NODE) for file in (AUTOGRADER / room).rglob("*.py")]
    for file in [*LIB.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py"), *judge_side]:
        lacking = {name.split(".")[0] for name in imported_by(file)} & GPU_NODE_LACKS
        assert not lacking, f"{file.relative_to(ROOT)} imports {lacking}"


def test_nobody_imports_the_student_notebooks():
    for folder in ("lib", "autograder", "book", "benchmarks", "training", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            assert not any(name.split(".")[0] == "assignments" for name in imported_by(file)), file
