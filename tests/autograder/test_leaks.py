"""G5: nothing that only the grader may know is in what students get: notebooks, zip, pages, exports."""

import re
import zipfile
from pathlib import Path

import pytest

from autograder.checks.task_files import kept, shipped
from autograder.controller.course import Course
from autograder.controller.grading import grade
from autograder.controller.release import REGION, secret_lines, solution_text
from autograder.controller.student_zip import build_zip
from autograder.reports.feedback import write_feedback
from tests.autograder.toy import ROOT, TOY, Toy, link_repository

COURSE = Course(ROOT)
CANARIES = ("canary-solution", "canary-hidden", "canary-oracle", "canary-key")
SHORT = 24  # characters: shorter lines of code are anybody's


def hidden_lines(assignment: str) -> set[str]:
    """Lines of the solution and of the hidden checks that are in no file which students are meant to see.

    The library is one, and so are the chapters, which derive the naive version of much that is asked for.
    """
    tasks, open_files = COURSE.tasks(assignment), [*(ROOT / "lib").rglob("*.py"), *(ROOT / "book").glob("*.md")]
    shown = "".join(path.read_text() for path in [*shipped(tasks), *open_files])
    shown += REGION.sub("", COURSE.master(assignment).read_text())  # what the master itself tells students
    lines = {line.strip() for file in kept(tasks) for line in file.read_text().splitlines()}
    lines |= secret_lines(solution_text(COURSE, assignment))
    return {line for line in lines if len(line) > SHORT and re.search(r"[=(]", line) and line not in shown}


@pytest.mark.parametrize("assignment", COURSE.assignments())
def test_no_hidden_line_is_in_a_student_notebook(assignment: str) -> None:
    text = COURSE.student_notebook(assignment).read_text()
    code = text.replace('\\"', '"')
    assert [line for line in hidden_lines(assignment) if line in code] == []
    assert "BEGIN SOLUTION" not in text
    assert "BEGIN HIDDEN" not in text


def test_canaries_reach_no_page_and_no_log_of_a_class(toy: Toy) -> None:
    checks = toy.course.tasks(TOY) / "checks" / "add.py"
    checks.write_text(checks.read_text() + "\n\nORACLE = 'canary-oracle'\n")
    toy.course.secret_path.write_text("ca" * 32)
    toy.course.secret_path.chmod(0o600)
    toy.submit("ann", toy.notebook(add="def add(a, b):\n    return a - b"))
    toy.submit("bob", toy.notebook(add="def add(a, b):\n    return a + b"))
    report = grade(toy.course, TOY, policy=toy.policy)
    shown = [path.read_text() for path in write_feedback(toy.course, report)]
    shown.append(str(report.json()))
    shown.append(toy.course.audit_path.read_text())
    for canary in (*CANARIES, "ca" * 32):
        assert [text for text in shown if canary in text] == [], canary


@pytest.mark.slow
@pytest.mark.parametrize("assignment", COURSE.assignments())
def test_no_hidden_line_is_in_the_zip(assignment: str, tmp_path: Path) -> None:
    secret = hidden_lines(assignment)
    with zipfile.ZipFile(build_zip(link_repository(tmp_path), assignment)) as archive:
        for name in archive.namelist():
            assert not re.search(
                r"tasks/\w+/(checks|oracles)|mutants|exploits|solutions|judge|ledger|sample_class", name
            ), name
            if not name.endswith(".whl"):
                text = archive.read(name).decode().replace('\\"', '"')
                assert [line for line in secret if line in text] == [], name


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "_build" / "html").is_dir(), reason="the site was not built")
def test_no_hidden_line_is_in_the_site() -> None:
    secret = {line for name in COURSE.assignments() for line in hidden_lines(name)}
    pages = "\n".join(
        path.read_text(errors="replace")
        for path in (ROOT / "_build" / "html").rglob("*")
        if path.suffix in (".html", ".js", ".md", ".ipynb", ".txt", ".json") and path.is_file()
    )
    from html import unescape

    plain = unescape(re.sub(r"<[^>]+>", "", pages)).replace('\\"', '"')
    assert [line for line in secret if line in plain] == []
