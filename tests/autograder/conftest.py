import shutil
from pathlib import Path

import pytest

from autograder import gradebook
from autograder.course import Course
from autograder.release import release, solution_text
from tests.autograder.toy import TOY, Toy, make_toy_course


@pytest.fixture(scope="session")
def empty_gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook that knows the toy assignment and nobody's work: nbgrader takes seconds to make a new one."""
    course = make_toy_course(tmp_path_factory.mktemp("empty"))
    gradebook.register(course, TOY, solution_text(course, TOY))
    return course.root / "gradebook.db"


@pytest.fixture
def toy(tmp_path: Path, empty_gradebook: Path) -> Toy:
    """The toy course, released, with nobody's work handed in yet."""
    course: Course = make_toy_course(tmp_path)
    shutil.copy(empty_gradebook, tmp_path)
    release(course, TOY)
    return Toy(tmp_path)
