"""The zip that students get: the notebook, the library as a wheel, and the visible checks with their engine."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from autograder.course import AutograderError, Course
from autograder.sources import modules_behind
from autograder.student import RELEASED

MAIN = '''"""`python -m autograder hint NOTEBOOK EXERCISE` and `python -m autograder reset NOTEBOOK EXERCISE`."""

from autograder.student import main

if __name__ == "__main__":
    raise SystemExit(main())
'''
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: the same content gives the same file
STUDENT_TOOLS = ("jupyterlab", "matplotlib")

README = """# {title}

Needed: Python 3.11 or 3.12; no GPU.

    python -m venv .venv && .venv/bin/python -m pip install -r requirements.txt
    .venv/bin/jupyter lab {assignment}.ipynb

Fill in the cells marked `YOUR CODE HERE` and run the cell below each: it checks your work and says what is wrong.
Stuck? `.venv/bin/python -m autograder hint {assignment}.ipynb EXERCISE` gives the next hint, and `reset` in the
place of `hint` puts that exercise's cell back as it was; a backup is kept. The exercises are {exercises}.
Write nothing that an exercise needs into cells of your own: each exercise is graded from its own cell alone.
Then hand in `{assignment}.ipynb`. On Windows, write `.venv\\Scripts` for `.venv/bin`.

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
        wheel = _build_wheel(course, Path(folder))
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
    readme = README.format(title=task["title"], assignment=assignment, exercises=exercises)
    behind = modules_behind("check", "student", tasks / "visible.py")
    return {
        "README.md": readme.encode(),
        "requirements.txt": _requirements(course, wheel).encode(),
        wheel.name: wheel.read_bytes(),
        f"{assignment}.ipynb": notebook,
        "autograder/__main__.py": MAIN.encode(),
        **{f"autograder/{path.name}": path.read_bytes() for path in behind},
        f"autograder/tasks/{assignment}/{RELEASED}": notebook,
        **{
            f"autograder/tasks/{assignment}/{name}": (tasks / name).read_bytes() for name in ("task.toml", "visible.py")
        },
    }


def _build_wheel(course: Course, folder: Path) -> Path:
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


def _requirements(course: Course, wheel: Path) -> str:
    """What the wheel and a notebook need, with the versions of the course's own lock."""
    lock = course.root / "requirements.txt"
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else []
    pins = {_name(line): line.partition(" #")[0].strip() for line in lines if _name(line)}
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    needed = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Requires-Dist:")]
    wanted = sorted({_name(requirement) for requirement in needed} | set(STUDENT_TOOLS))
    return "\n".join([*(pins.get(name, name) for name in wanted), f"./{wheel.name}"]) + "\n"


def _name(requirement: str) -> str:
    """The distribution a requirement line is about, normalised; empty for a comment or an option."""
    letters = ""
    for letter in requirement.strip():
        if not (letter.isalnum() or letter in "._-"):
            break
        letters += letter
    return "" if letters.startswith("-") else letters.lower().replace("_", "-")
