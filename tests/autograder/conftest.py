import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from autograder.controller import gradebook
from autograder.controller.course import Course
from autograder.controller.release import release, solution_text
from tests.autograder.toy import TOY, Toy, make_toy_course


@pytest.fixture(scope="session")
def empty_gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook that knows the toy assignment and nobody's work: nbgrader takes seconds to make a new one.

    Workers of pytest-xdist share it; the first that needs it makes it.
    """
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "empty_gradebook.db"
    with FileLock(f"{made}.lock"):
        if not made.exists():
            course = make_toy_course(tmp_path_factory.mktemp("empty"))
            gradebook.register(course, TOY, solution_text(course, TOY))
            shutil.copy(course.root / "gradebook.db", made)
    return made


@pytest.fixture
def toy(tmp_path: Path, empty_gradebook: Path) -> Toy:
    """The toy course, released, with nobody's work submitted yet."""
    course: Course = make_toy_course(tmp_path)
    shutil.copy(empty_gradebook, tmp_path / "gradebook.db")
    release(course, TOY)
    return Toy(tmp_path)
