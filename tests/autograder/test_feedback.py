"""A feedback page is one file that explains the score, shows no hidden test, and cannot be made to run anything."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograder.cells.bundle import Bundle
from autograder.controller.grading import grade
from autograder.controller.names import file_name
from autograder.controller.record import ClassRecord, Record
from autograder.controller.result import CheckResult, ExerciseResult, Result, parse_result
from autograder.reports.feedback import said_and_values, write_feedback
from autograder.wire.text import number
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


def page(toy: Toy, graded: Record) -> str:
    paths = write_feedback(toy.course, ClassRecord(TOY, (graded,)))
    return paths[0].read_text()


def graded(found: Result | None, student: str = "ann", **options) -> Record:
    """The record of a student, of whom there is nothing to read where there is no result."""
    bundle = Bundle(TOY, {"add": "x", "double": None}, options.pop("notes", ()), readable=found is not None)
    return Record(student, bundle, found, **options)


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
    both = ClassRecord(TOY, (graded(result(a=row("passed", 1.0))), graded(None, student="bob & co")))
    *pages, index = write_feedback(toy.course, both)
    links = [given["href"] for tag, given in Tags(index.read_text()).tags if tag == "a"]
    assert links == ["class.html", "ann/index.html", f"{file_name('bob & co')}/index.html"]
    assert all(path.is_file() for path in pages)
    write_feedback(toy.course, ClassRecord(TOY, both.students[:1]))
    assert sorted(path.name for path in index.parent.iterdir()) == ["ann", "class.html", "index.html"]


def test_a_page_that_did_not_change_is_not_written_again(toy: Toy) -> None:
    toy.submit("ann", toy.notebook(add="def add(a, b):\n    return a + b"))
    *_, index = write_feedback(toy.course, grade(toy.course, TOY, policy=toy.policy))
    stamps = {path: path.stat().st_mtime_ns for path in index.parent.rglob("*.html")}
    write_feedback(toy.course, grade(toy.course, TOY, policy=toy.policy))
    assert {path: path.stat().st_mtime_ns for path in index.parent.rglob("*.html")} == stamps


TIMED = {
    "interval": {"median": 1.3412, "low": 1.2034, "high": 1.4499},
    "thresholds": [[1.0, 0], [1.5, 3]],
    "samples": [{"student": [0.987654]}],
}


def test_a_speedup_is_drawn_over_its_thresholds_and_said_in_words(toy: Toy) -> None:
    fast = replace(row("passed", 2.0, 3.0, "1.34 times as fast"), details=TIMED)
    text = page(toy, graded(result(a=fast)))
    (drawn,) = [given for tag, given in Tags(text).tags if tag == "svg"]
    assert drawn["role"] == "img"
    said = str(drawn["aria-label"])
    assert "1.34 times as fast, 95 % interval 1.20 to 1.45: 2 points." in said
    assert "0 points at 1 times, 3 points at 1.5 times" in said
    assert "0.987654" not in text
    places = [float(x) for x in re.findall(r"<circle cx=([\d.]+)", text)]
    thresholds = [float(x) for x in re.findall(r"<path d='M([\d.]+) 48v14'/>", text)]
    assert thresholds[0] < places[0] < thresholds[1]
    assert len(re.findall(r"M[\d.]+ 52v6", text)) == 6  # one for each half point


def test_a_disturbed_timing_has_no_drawing(toy: Toy) -> None:
    disturbed = replace(
        row("not_graded", message="too busy"), details={"interval": None, "thresholds": TIMED["thresholds"]}
    )
    assert "<svg" not in page(toy, graded(result(a=disturbed)))


def test_the_first_wrong_value_stands_out_with_yours_and_the_expected(toy: Toy) -> None:
    checks = {
        "a": row("passed", 1.0),
        "b": row("failed", message="wrong: the sum; is a sign lost? (got=[1.5, -2], want=[1.5, 2])"),
        "c": row("failed", message="also wrong"),
    }
    text = page(toy, graded(result(**checks)))
    assert text.count("Begin here") == 1
    begin, sentence = text.index("Begin here"), text.index("wrong: the sum; is a sign lost?</span>")
    assert begin < sentence < text.index("<dt>yours</dt><dd>[1.5, -2]</dd><dt>expected</dt><dd>[1.5, 2]</dd>")
    assert sentence < text.index("also wrong")
    assert "Begin here" not in page(toy, graded(result(a=row("passed", 1.0), c=row("not_graded"))))


def test_values_are_taken_out_of_every_message_that_fail_makes() -> None:
    from autograder.checks.expect import CheckFailed, expect_close, expect_equal, explained, fail

    def said(action) -> tuple[str, dict[str, str]]:
        with pytest.raises(CheckFailed) as caught:
            action()
        return said_and_values(str(caught.value))

    assert said(lambda: expect_equal(3, 4, "the count", hint="begin at 0"))[1] == {"got": "3", "want": "4"}
    assert said(lambda: fail("odd (in a way)", first=[1.0], other="a, b")) == (
        "odd (in a way)",
        {"first": "[1.0]", "other": "'a, b'"},
    )
    assert said(lambda: expect_close([1], 1.0, "x"))[1] == {}

    def with_reason():
        with explained(IndexError="no such row"):
            raise CheckFailed("it raised (got=1)", "IndexError")

    assert said(with_reason) == ("it raised Most likely: no such row.", {"got": "1"})


def class_text(toy: Toy, *students: Record) -> str:
    *_, about_class, index = write_feedback(toy.course, ClassRecord(TOY, students))
    assert "class.html" in index.read_text()
    return about_class.read_text()


def test_class_page_counts_scores_failures_and_who_is_to_be_looked_at(toy: Toy) -> None:
    hard, easy, gpu = (replace(row("failed"), title=title) for title in ("Hard <one>", "Easy one", "On a GPU"))
    right = {"score": 1.0, "status": "passed"}
    gpu = replace(gpu, status="not_graded", max=0.0, details={})
    disturbed = replace(row("not_graded", message="too busy"), title="Fast", details={"interval": None})
    students = [
        graded(result(a=hard, b=replace(easy, **right), c=gpu), student="ann"),
        graded(result(a=hard, b=replace(easy, **right), d=replace(disturbed, max=0.0)), student="bob"),
        graded(result(a=replace(hard, **right), b=easy), student="cat"),
        graded(result(a=hard, b=easy), student="dan"),
        graded(None, student="eve", problem="It is not valid JSON."),
    ]
    page = class_text(toy, *students)
    text = " ".join(Tags(page).text.split())
    assert "4 students have a score. Median 50% of the points" in text
    assert text.index("Hard <one> (Addition) 75% 3 of 4") < text.index("Easy one (Addition) 50% 2 of 4")
    busy, none = (text.index(part) for part in ("Timing too disturbed", "Not graded"))
    assert busy < text.index("bob , add: Fast too busy") < none
    assert none < text.index("eve : It is not valid JSON.")
    assert none < text.index("add: On a GPU (1 students)")
    labels = [given["aria-label"] for tag, given in Tags(page).tags if tag == "svg"]
    assert labels == ["Students by share of the points: 1 with 0 to 10 %, 3 with 50 to 60 %."]


def test_class_page_shows_no_test_code_and_escapes_everything(toy: Toy) -> None:
    evil = replace(row("failed", message=EVIL), title=EVIL, details={"seed": 4242})
    text = class_text(toy, graded(result(a=evil), student=EVIL.replace("/", "")), graded(None, problem=EVIL))
    assert not {name for name, _ in Tags(text).tags} & {"script", "img"}
    for secret in ("secret_function_name", "seed 12345", "4242", "1.7654321"):
        assert secret not in text


def test_class_page_of_a_class_without_scores_is_whole(toy: Toy) -> None:
    assert "Nobody has a score yet." in class_text(toy, graded(None))


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
    from autograder.wire.errors import CannotGrade

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

    timed = replace(row("passed", 1.0), details=TIMED)
    found = result(a=timed, b=row("failed", message="a long message " * 30 + "(got=1, want=2)"), c=row("not_graded"))
    *_, index = write_feedback(toy.course, ClassRecord(TOY, (graded(found, notes=("A note.",)),)))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            view = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            problems: list[str] = []
            view.on("console", lambda message, problems=problems: problems.append(message.text))
            for name, part in (("ann/index.html", "1 of 1"), ("class.html", "Hardest checks"), ("index.html", "ann")):
                view.goto((index.parent / name).as_uri())
                assert view.evaluate("document.documentElement.scrollWidth") <= 390
                assert part in view.inner_text("main")
            assert problems == []
            view.close()
        browser.close()


@pytest.mark.slow
def test_the_index_sorts_by_any_column_and_keeps_dashes_last(toy: Toy) -> None:
    from playwright.sync_api import sync_playwright

    scores = {"ann": 1.0, "bob": 10.0, "cat": 2.0}
    students = [graded(result(a=row("passed", score, 10.0)), student=name) for name, score in scores.items()]
    *_, index = write_feedback(
        toy.course, ClassRecord(TOY, (*students, graded(None, student="dan", problem="Broken.")))
    )
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page(viewport={"width": 1200, "height": 800})
        view.goto(index.as_uri())
        assert view.evaluate(
            "document.querySelector('.scroll').scrollWidth <= document.querySelector('.scroll').clientWidth"
        )
        orders = []
        for name in ("score", "score", "student", "student"):
            view.get_by_role("button", name=name).click()
            orders.append("".join(text[0] for text in view.locator("tbody th").all_inner_texts()))
        assert orders == ["acbd", "bcad", "abcd", "dcba"]
        assert view.locator("th[aria-sort=descending]").inner_text().startswith("student")
        browser.close()
