"""Quizzes and exercises in a browser: checked at once, by keyboard, remembered, and readable without scripts."""

import json

import pytest
from exercises import value_of
from playwright.sync_api import expect
from site_browser import served

from tests.book.small_book import build_small_book

HEADER = """# A chapter

<div class="chapter-header"><dl><dt>Time</dt><dd>5 minutes</dd></dl></div>
"""
QUIZ = """
```{quiz} Which number is even?
- 3

  No. It leaves 1.
- 4

  Yes. It is twice two.
- 5

  No. It leaves 1, too.
```
"""
NUMBER = """
````{exercise} Bytes of a cache
:answer: 2 * 32 * 8 * 128 * 2
:unit: bytes

How many bytes does the cache of **one token** take?

+++

Keys *and* values, in every layer.

+++

```python
2 * 32 * 8 * 128 * 2
```
````
"""
PAPER = """
```{exercise}
Say why.

+++

Think.

+++

Because.
```
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    pages = {"ch07_small": HEADER + QUIZ + NUMBER + PAPER, "ch08_other": HEADER + QUIZ}
    assert build_small_book(folder, pages, ["exercises"]) == ""
    return folder / "html"


@pytest.fixture
def visit(book, small_reader):
    with served(book) as address, small_reader(address).open("ch07_small.html") as visit:
        visit.page.wait_for_selector(".progress-row")
        yield visit
        assert visit.errors == []


def press(page, element, key="Enter"):
    element.focus()
    page.keyboard.press(key)


def expect_progress(page, said: str) -> None:
    expect(page.locator(".progress-text")).to_have_text(f"{said} questions")


def test_a_quiz_marks_each_answer_and_counts_once_the_right_one_is_found(visit):
    page, quiz = visit.page, visit.page.locator(".quiz")
    press(page, quiz.locator("summary").nth(0))
    expect(quiz.locator(".quiz-mark")).to_have_text(["✗ Not this one"])
    assert quiz.get_by_text("It leaves 1.").is_visible()
    expect_progress(page, "0 of 3")
    press(page, quiz.locator("summary").nth(1))
    expect(quiz.locator(".is-right .quiz-mark")).to_have_text("✓ Right")
    assert quiz.locator(".is-wrong").count() == 1
    assert "second try" in quiz.locator("[role=status]").inner_text()
    expect_progress(page, "1 of 3")


@pytest.mark.parametrize("typed", ["131072", "131,072", "1.31e5", "1.31072E+5", " 131 072 ", "262144/2", "131000"])
def test_a_number_is_right_however_it_is_written(visit, typed):
    assert check(visit, typed) == "✓ Right."
    expect_progress(visit.page, "1 of 3")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("65536", "No: too small."),
        ("140000", "No: too large."),
        ("128", "No: too small. Is the unit right?"),
        ("-131072", "No. Look at the sign."),
        ("many", "Write a number, such as 1536, 1.5e3 or 3/8."),
        ("", "Write a number, such as 1536, 1.5e3 or 3/8."),
        ("1/0", "No: too large."),
        ("131072 4 x", "Write a number, such as 1536, 1.5e3 or 3/8."),
    ],
)
def test_a_wrong_number_is_told_what_is_wrong(visit, typed, said):
    assert check(visit, typed) == said
    expect_progress(visit.page, "0 of 3")


def check(visit, typed: str) -> str:
    field = visit.page.locator(".exercise-answer input")
    field.fill(typed)
    field.press("Enter")
    return visit.page.locator(".exercise-answer [role=status]").inner_text()


def test_hint_and_solution_are_folded_and_a_solution_that_was_read_counts(visit):
    page = visit.page
    exercise = page.locator(".exercise").nth(1)
    assert exercise.locator(".exercise-title").inner_text() == "Exercise 7.2"
    assert not exercise.get_by_text("Think.").is_visible()
    press(page, exercise.locator(".exercise-hint summary"))
    assert exercise.get_by_text("Think.").is_visible()
    expect_progress(page, "0 of 3")
    press(page, exercise.locator(".exercise-solution summary"), "Space")
    assert exercise.get_by_text("Because.").is_visible()
    expect_progress(page, "1 of 3")


def test_state_survives_a_reload_stays_on_its_page_and_can_be_taken_back(visit):
    page = visit.page
    press(page, page.locator(".quiz summary").nth(2))
    press(page, page.locator(".quiz summary").nth(1))
    check(visit, "131072")
    page.reload()
    expect_progress(page, "2 of 3")
    assert page.locator(".quiz .is-right").count() == 1
    assert page.locator(".quiz .is-wrong").count() == 1
    assert page.locator(".exercise-answer input").input_value() == "131072"
    assert page.locator(".exercise-answer.is-right").count() == 1
    stored = json.loads(page.evaluate("localStorage.getItem('nimblelm/ch07_small')"))
    assert (stored["done"], stored["total"]) == (2, 3)
    page.goto(page.url.replace("ch07_small", "ch08_other"))
    expect_progress(page, "0 of 1")
    page.go_back()
    page.get_by_role("button", name="Start again").click()
    page.wait_for_function("document.querySelector('.progress-text')?.textContent === '0 of 3 questions'")
    assert page.locator(".quiz-mark").count() == 0
    assert page.locator(".exercise-answer input").input_value() == ""


def test_without_scripts_all_can_be_unfolded(book, small_reader):
    with served(book) as address, small_reader(address).open("ch07_small.html", java_script_enabled=False) as visit:
        visit.page.locator(".quiz summary").nth(1).click()
        assert visit.page.get_by_text("It is twice two.").is_visible()
        visit.page.locator(".exercise-solution summary").first.click()
        assert visit.page.locator(".exercise-solution pre").first.is_visible()


def test_a_browser_that_keeps_nothing_still_checks(book, small_reader):
    with served(book) as address, small_reader(address).open("ch07_small.html") as visit:
        visit.page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw Error('denied') }})")
        visit.page.reload()
        assert check(visit, "131072") == "✓ Right."
        expect_progress(visit.page, "1 of 3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (QUIZ.replace("Yes. It is", "It is"), "begins with neither"),
        (QUIZ.replace("Yes.", "No."), "one right answer"),
        (QUIZ.replace("No.", "Yes.", 1), "one right answer"),
        (NUMBER.replace("+++", "", 1), "a line +++ between them"),
        (NUMBER.replace("2 * 32", "two"), "no number"),
        (NUMBER.replace("2 * 32", "open('x') * 32"), "not arithmetic"),
        (NUMBER.replace(":unit: bytes", ":tolerance: 2"), "relative"),
        (NUMBER.replace(":answer: 2 * 32 * 8 * 128 * 2\n", ""), "belong to an answer"),
    ],
)
def test_a_badly_written_exercise_fails_the_build(tmp_path, text, said):
    assert said in build_small_book(tmp_path, {"ch01_x": HEADER + text}, ["exercises"])


def test_answers_are_computed():
    assert value_of("2 * 32 * 8 * 128 * 2") == 131072
    assert value_of("-(1 - 0.8**5) / 0.2") == pytest.approx(-3.3616)
    assert value_of("log2(8) + ceil(sqrt(10))") == 7
