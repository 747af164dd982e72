"""The zip that students get: the notebook, the library as a wheel, and the visible checks with their engine."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from autograder import STUDENT, rooms_in
from autograder.cells.released import PACKAGE, RELEASED
from autograder.checks.task_files import setup_of, shipped
from autograder.controller.course import Course
from autograder.wire.errors import AutograderError

MAIN = '''"""`python -m autograder check NOTEBOOK`, and `hint` or `reset` with `NOTEBOOK EXERCISE`."""

from autograder.student.commands import main

if __name__ == "__main__":
    raise SystemExit(main())
'''
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: the same content gives the same file
STUDENT_TOOLS = ("jupyterlab", "matplotlib")

README = """# {title}

Needed: Python 3.11 or 3.12 on Linux, macOS or WSL; no GPU.

    python -m venv .venv && .venv/bin/python -m pip install -r requirements.txt
    .venv/bin/jupyter lab {assignment}.ipynb

On Linux pip takes PyTorch with the libraries for NVIDIA's GPUs: the environment fills about 4 GB. Without a GPU, put
PyTorch for the CPU there first, and it fills less than 2 GB:

    .venv/bin/python -m pip install {torch} --index-url https://download.pytorch.org/whl/cpu

Fill in the cells marked `YOUR CODE HERE` and run the cell below each: it runs your cell once more as it will be graded,
checks your work and says what is wrong. Before you submit, save the notebook and check all of it:

    .venv/bin/python -m autograder check {assignment}.ipynb

Stuck? `.venv/bin/python -m autograder hint {assignment}.ipynb EXERCISE` gives the next hint, and `reset` in the
place of `hint` puts that exercise's cell back as it was; a backup is kept. The exercises are {exercises}.

Each exercise is graded from its own cell alone, as plain Python: put the imports, constants and helpers that it needs
into that cell. IPython's commands, such as `%timeit` and `!ls`, are left out there, and nothing is drawn; pandas and
the like are not there. Then submit `{assignment}.ipynb`.

The library `nimblelm` is yours to use and to read, but modules that solve an exercise cannot be imported where it is
graded.
"""


def build_zip(course: Course, assignment: str) -> Path:
    """Build `_build/release/<assignment>.zip`; the same sources give the same bytes.

    Raises:
        UsageError: there is no such assignment.
        AutograderError: the library's wheel could not be built.
    """
    course.require(assignment)
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(course, Path(folder))
        files = _files(course, assignment, wheel)
        path = course.build / "release" / f"{assignment}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with zipfile.ZipFile(temporary, "w") as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(f"{assignment}/{name}", EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, files[name])
        os.replace(temporary, path)
    return path


def _files(course: Course, assignment: str, wheel: Path) -> dict[str, bytes]:
    tasks = course.tasks(assignment)
    task, notebook = course.task(assignment), course.student_notebook(assignment).read_bytes()
    exercises = ", ".join(f"`{exercise['id']}`" for exercise in task["exercise"])
    triton = ["triton"] if "import triton" in setup_of(tasks) else []  # PyTorch for the CPU comes without
    pins = requirements(course, wheel, (*STUDENT_TOOLS, *triton))
    torch = next(line for line in pins.splitlines() if _name(line) == "torch")
    readme = README.format(title=task["title"], assignment=assignment, exercises=exercises, torch=torch)
    return {
        "README.md": readme.encode(),
        "requirements.txt": pins.encode(),
        wheel.name: wheel.read_bytes(),
        f"{assignment}.ipynb": notebook,
        "autograder/__main__.py": MAIN.encode(),
        **_tools(),
        f"autograder/tasks/{assignment}/{RELEASED}": notebook,
        **{f"autograder/tasks/{assignment}/{one.relative_to(tasks)}": one.read_bytes() for one in shipped(tasks)},
    }


def _tools() -> dict[str, bytes]:
    """The rooms of the autograder that a student gets, and the module that a notebook imports."""
    paths = [PACKAGE / "__init__.py", PACKAGE / "check.py"]
    paths += [path for room in rooms_in(STUDENT) for path in sorted((PACKAGE / room).rglob("*.py"))]
    return {f"autograder/{path.relative_to(PACKAGE)}": path.read_bytes() for path in paths}


def build_wheel(course: Course, folder: Path) -> Path:
    """Build nimblelm's wheel from a copy, so that no build folder is left in the course; needs no network."""
    source = folder / "source"
    source.mkdir()
    shutil.copy(course.root / "pyproject.toml", source)
    shutil.copytree(course.root / "lib", source / "lib", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(source)],
        env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"}, capture_output=True, text=True,
    )  # fmt: skip
    wheels = list(folder.glob("*.whl"))
    if built.returncode != 0 or len(wheels) != 1:
        raise AutograderError(f"The wheel of nimblelm could not be built: {built.stderr.strip()[-500:]}")
    return wheels[0]


def requirements(course: Course, wheel: Path, tools: tuple[str, ...]) -> str:
    """What the wheel and a notebook need, with the versions of the course's own lock."""
    lock = course.root / "requirements.txt"
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else []
    pins = {_name(line): line.partition(" #")[0].strip() for line in lines if _name(line)}
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    needed = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Requires-Dist:")]
    wanted = sorted({_name(requirement) for requirement in needed} | set(tools))
    return "\n".join([*(pins.get(name, name) for name in wanted), f"./{wheel.name}"]) + "\n"


def _name(requirement: str) -> str:
    """The distribution a requirement line is about, normalised; empty for a comment or an option."""
    letters = ""
    for letter in requirement.strip():
        if not (letter.isalnum() or letter in "._-"):
            break
        letters += letter
    return "" if letters.startswith("-") else letters.lower().replace("_", "-")
