"""The zip that Gradescope takes as an autograder: the judge, the checks of one assignment, and what installs both."""

import hashlib
import hmac
import json
import os
import tempfile
import zipfile
from pathlib import Path

from autograder import NODE, rooms_in
from autograder.cells.released import PACKAGE, RELEASED
from autograder.checks.task_files import MUTANTS
from autograder.controller.course import Course
from autograder.controller.run_keys import course_secret
from autograder.controller.student_zip import EPOCH, build_wheel, requirements

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, as root and with a network, when it builds the image.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends bubblewrap ca-certificates
for python in python3.12 python3.11; do
    if apt-get install -y --no-install-recommends "$python" "$python-venv"; then break; fi
done
command -v "$python" || { echo "Choose a base image with Python 3.11 or 3.12, such as Ubuntu 24.04." >&2; exit 1; }
"$python" -m venv /autograder/python
cd /autograder/source
# PyTorch for the CPU first, of the version that the lock has
grep '^torch==' requirements.txt | /autograder/python/bin/pip install --no-cache-dir \\
    --index-url https://download.pytorch.org/whl/cpu -r /dev/stdin
/autograder/python/bin/pip install --no-cache-dir -r requirements.txt
chmod 700 /autograder/source
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission.
cd /autograder/source && exec /autograder/python/bin/python -m autograder.judge.gradescope /autograder
"""


def build_gradescope_zip(course: Course, assignment: str, *, sandbox: bool = True, speed: bool = False) -> Path:
    """Build `_build/gradescope/<assignment>.zip`. It holds hidden checks and a secret: it is for instructors alone.

    Args:
        sandbox: False is the weaker mode, for containers in which bubblewrap can make no namespaces.
        speed: whether to time. Gradescope's machines are shared, so that many timings would be invalid.

    Raises:
        UsageError: there is no such assignment.
        AutograderError: the library's wheel could not be built.
    """
    course.require(assignment)
    secret = hmac.new(course_secret(course.secret_path), f"gradescope {assignment}".encode(), hashlib.sha256)
    about = {"assignment": assignment, "secret": secret.hexdigest(), "sandbox": sandbox, "speed": speed}
    with tempfile.TemporaryDirectory() as folder:
        lines = requirements(course, build_wheel(course, Path(folder)), ("triton",)).splitlines()[:-1]
    texts = {"setup.sh": SETUP, "run_autograder": RUN, "grading.json": json.dumps(about),
             "requirements.txt": "\n".join(lines) + "\n"}  # fmt: skip
    files = {name: text.encode() for name, text in texts.items()}
    files |= _engine() | _below(course.root / "lib" / "nimblelm", "lib/nimblelm")
    files |= _below(course.tasks(assignment), f"autograder/tasks/{assignment}")
    files[f"autograder/tasks/{assignment}/{RELEASED}"] = course.student_notebook(assignment).read_bytes()
    path = course.build / "gradescope" / f"{assignment}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as whole, zipfile.ZipFile(whole, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            mode = 0o755 if name in ("setup.sh", "run_autograder") else 0o644
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, mode << 16
            archive.writestr(entry, files[name])
    os.replace(temporary, path)
    return path


def _engine() -> dict[str, bytes]:
    paths = [PACKAGE / "__init__.py"]
    paths += [path for room in rooms_in(NODE) for path in sorted((PACKAGE / room).rglob("*.py"))]
    return {f"autograder/{path.relative_to(PACKAGE)}": path.read_bytes() for path in paths}


def _below(folder: Path, name: str) -> dict[str, bytes]:
    """All files of a folder but wrong answers and what Python left."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in paths if not {"__pycache__", MUTANTS} & set(path.relative_to(folder).parts)]
    return {f"{name}/{path.relative_to(folder)}": path.read_bytes() for path in kept}
