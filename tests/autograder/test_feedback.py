"""A feedback page is one file that explains the score, shows no hidden test, and cannot be made to run anything."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograder.bundle import Bundle
from autograder.controller import Graded, Report, grade
from autograder.feedback import number, write_feedback
from autograder.result import CheckResult, ExerciseResult, Result, parse_result
from tests.autograder.toy import TOY, Toy

EVIL = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>"


class Tags(HTMLParser):
    """Collects tags, their attributes, and text; fails on what is left open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + " "


def result(**checks: CheckResult) -> Result:
    rows = tuple(checks.values())
    exercise = ExerciseResult(
        sum(row.score for row in rows), sum(row.max for row in rows), "graded", rows, "seed 12345"
    )
    return Result("k", "judge0", "bubblewrap", {"add": exercise}, 1.0)


def row(status: str, score: float = 0.0, best: float = 1.0, message: str = "") -> CheckResult:
    return CheckResult("secret_function_name", "A title", score, best, status, message, {"speedup": 1.7654321})


def page(toy: Toy, graded: Graded) -> str:
    paths = write_feedback(toy.course, Report(TOY, (graded,)))
    return paths[0].read_text()


def graded(found: Result | None, student: str = "ann", **options) -> Graded:
    return Graded(student, Bundle(TOY, {"add": "x", "double": None}, options.pop("notes", ())), found, **options)


def test_page_shows_score_checks_messages_and_notes(toy: Toy) -> None:
    found = result(
        a=row("passed", 1.0), b=row("failed", message="a sign is lost"), c=row("not_graded", message="no GPU")
    )
    text = Tags(page(toy, graded(found, notes=("The cell was deleted.",)))).text
    for part in (
        "A toy",
        "ann",
        "Addition",
        "1",
        "of 3 points",
        "A title",
        "a sign is lost",
        "no GPU",
        "The cell was deleted.",
    ):
        assert part in text
    assert "bubblewrap" in text


def test_page_shows_no_test_code_no_log_and_no_measurement_details(toy: Toy) -> None:
    text = page(toy, graded(result(a=row("failed"))))
    for secret in ("secret_function_name", "seed 12345", "1.7654321", "canary"):
        assert secret not in text


def test_everything_is_escaped_and_nothing_is_loaded(toy: Toy) -> None:
    evil = replace(row("failed", message=EVIL), title=EVIL)
    for one in (
        graded(result(a=evil), notes=(EVIL,)),
        graded(None, student="<b>&x", problem=EVIL, notes=(EVIL,)),
    ):
        found = Tags(page(toy, one))
        names = {name for name, _ in found.tags}
        assert not names & {"script", "img", "link", "iframe", "object"}
        attributes = [name for _, given in found.tags for name in given]
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
        assert "alert(1)" in found.text
        assert "default-src 'none'" in str(found.tags)


def test_no_score_is_never_shown_as_zero(toy: Toy) -> None:
    text = Tags(page(toy, graded(None, problem="It is not valid JSON."))).text
    assert "No score yet" in text
    assert "not a score of 0" in text
    assert "It is not valid JSON." in text
    assert not re.search(r"0\s+of", text)


def test_a_message_that_repeats_is_said_once_and_names_are_code(toy: Toy) -> None:
    message = "Not written yet: `add` <raises>"
    text = page(toy, graded(result(a=row("failed", message=message), b=row("failed", message=message))))
    assert text.count("Not written yet: <code>add</code> &lt;raises&gt;") == 1


def test_checks_without_points_stand_apart_from_those_that_give_them(toy: Toy) -> None:
    text = Tags(page(toy, graded(result(a=row("passed", 0.0, 0.0), b=row("failed"))))).text
    free, paid = text.index("they give no points"), text.index("that give the points")
    assert free < text.index("✓") < paid < text.index("✗")
    assert "they give no points" not in Tags(page(toy, graded(result(b=row("failed"))))).text


def test_index_links_every_page_and_old_pages_go(toy: Toy) -> None:
    both = Report(TOY, (graded(result(a=row("passed", 1.0))), graded(None, student="bob & co")))
    *pages, index = write_feedback(toy.course, both)
    links = [given["href"] for tag, given in Tags(index.read_text()).tags if tag == "a"]
    assert links == ["ann/index.html", "bob%20%26%20co/index.html"]
    assert all(path.is_file() for path in pages)
    write_feedback(toy.course, Report(TOY, both.students[:1]))
    assert sorted(path.name for path in index.parent.iterdir()) == ["ann", "index.html"]


def test_a_page_that_did_not_change_is_not_written_again(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add="def add(a, b):\n    return a + b"))
    *_, index = write_feedback(toy.course, grade(toy.course, TOY, policy=toy.policy))
    stamps = {path: path.stat().st_mtime_ns for path in index.parent.rglob("*.html")}
    write_feedback(toy.course, grade(toy.course, TOY, policy=toy.policy))
    assert {path: path.stat().st_mtime_ns for path in index.parent.rglob("*.html")} == stamps


def test_pages_of_others_stay_when_one_student_is_graded(toy: Toy) -> None:
    both = Report(TOY, (graded(None), graded(None, student="bob")))
    *_, index = write_feedback(toy.course, both)
    before = index.read_text()
    paths = write_feedback(toy.course, Report(TOY, (graded(result(a=row("passed", 1.0))),)), whole_class=False)
    assert [path.parent.name for path in paths] == ["ann"]
    assert (index.parent / "bob" / "index.html").is_file()
    assert index.read_text() == before


@pytest.mark.parametrize(("value", "shown"), [(2.0, "2"), (1.5, "1.5"), (0.25, "0.25"), (0.0, "0"), (10.0, "10")])
def test_points_are_written_as_people_do(value: float, shown: str) -> None:
    assert number(value) == shown


def raw(**changes: object) -> dict:
    check = {"name": "n", "title": "t", "points": 1, "max": 1, "status": "passed", "message": ""}
    exercise = {"score": 1, "max": 1, "status": "graded", "checks": [check], "log": "", **changes}
    return {"key": "k", "judge_version": "v", "sandbox": "s", "exercises": {"add": exercise}, "seconds": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"score": float("nan")},
        {"score": -1},
        {"score": 2},
        {"score": "1"},
        {"score": True},
        {"max": None},
        {"status": "good"},
        {"checks": 3},
    ],
)
def test_a_result_that_cannot_be_true_is_refused(changes: dict) -> None:
    from autograder.course import CannotGrade

    assert parse_result(raw(), "k").score == 1.0
    with pytest.raises(CannotGrade, match="not usable"):
        parse_result(raw(**changes), "k")
    with pytest.raises(CannotGrade, match="belongs to job"):
        parse_result(raw(), "other")
    with pytest.raises(CannotGrade):
        parse_result([], "k")


def test_control_characters_never_reach_a_page_or_a_terminal() -> None:
    shown = parse_result(raw(checks=[{**raw()["exercises"]["add"]["checks"][0], "message": "a\x1b[2Jb\x00\nc"}]), "k")
    assert shown.exercises["add"].checks[0].message == "a�[2Jb� c"


@pytest.mark.slow
def test_pages_are_readable_in_a_browser(toy: Toy, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    found = result(a=row("passed", 1.0), b=row("failed", message="a long message " * 30), c=row("not_graded"))
    *_, index = write_feedback(toy.course, Report(TOY, (graded(found, notes=("A note.",)),)))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            view = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            problems: list[str] = []
            view.on("console", lambda message, problems=problems: problems.append(message.text))
            view.goto((index.parent / "ann" / "index.html").as_uri())
            assert view.evaluate("document.documentElement.scrollWidth") <= 390
            assert "1 of 1" in view.inner_text("main")
            assert problems == []
            view.close()
        browser.close()
