"""Every chapter has the parts that a chapter has, and no sentence of it depends on what the build's own clock said."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.book.chapter_page import ChapterPage
from tests.book.clocked_values import clocked_functions

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.stem: ChapterPage(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "book").glob("ch??_*.md"))}
TITLES = {
    f"ch{chapter['number']:02}_{chapter['slug']}": chapter["title"]
    for part in tomllib.loads((ROOT / "book/_data/chapters.toml").read_text(encoding="utf-8"))["part"]
    for chapter in part["chapters"]
}
LONGEST_CELL, WIDEST_LINE = 25, 84
each_chapter = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())


def missing_parts(page: ChapterPage) -> list[str]:
    """What a finished chapter has and this page has not, in words."""
    first = page.cells[0] if page.cells else None
    went, key = page.section("Where the field went"), page.section("Key points")
    widgets = re.findall(r"show_widget\(\s*\"([\w-]+)\"", page.text)
    driven = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    parts = {
        "a demo before the first section and before any import":
            first is not None and first.code in page.first_screen and not first.seen and first.shows,
        "the chapter's header": len(page.named("chapter-header")) == 1,
        "folded imports": not any(cell.imports for cell in page.cells if cell.seen),
        "an assertion that two ways agree": any("assert" in cell.code for cell in page.cells if cell.seen),
        "five drawings of the mechanism, with captions": sum(cell.code.count("draw.show(") for cell in page.cells) >= 5,
        "an interactive that a test drives": any(f'"{name}"' in driven for name in widgets),
        "two quizzes": len(page.named("quiz")) >= 2,
        "three small exercises with hint and solution":
            sum(len(re.findall(r"^\+\+\+\s*$", e.body, re.M)) == 2 for e in page.named("exercise")) >= 3,
        "What the slides simplify": "{cite" in page.section("What the slides simplify"),
        "Where the field went, five works cited": len(set(_cited(went))) >= 5,
        "Key points: five sentences": len(re.findall(r"^(?:\d\.|-) ", key, re.M)) == 5,
        "Key points: two formulas": len(re.findall(r"^\$\$", key, re.M)) == 4,
        "the graded exercises": len(page.named("exercise-list")) >= 1,
        "Where this is in the slides": bool(page.section("Where this is in the slides")),
    }  # fmt: skip
    return [part for part, there in parts.items() if not there]


def _cited(text: str) -> list[str]:
    return [key for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", text) for key in keys.split(",")]


@each_chapter
def test_a_chapter_has_every_part(page):
    assert missing_parts(page) == []


def test_every_page_of_a_chapter_is_one_of_the_course_under_its_title():
    assert {name: re.findall(r"^# (.+)$", page.prose, re.M) for name, page in PAGES.items()} == {
        name: [TITLES[name]] for name in PAGES
    }


@each_chapter
def test_cells_fit_the_column_and_a_screen(page):
    wide = [line for cell in page.cells for line in cell.code.split("\n") if len(line) > WIDEST_LINE]
    long = [cell.code for cell in page.cells if cell.seen and cell.code.count("\n") > LONGEST_CELL]
    assert wide == []
    assert long == []


@each_chapter
def test_no_sentence_depends_on_the_clock_of_the_build(page):
    assert page.clocked_sentences() == []


@pytest.mark.parametrize("name", PAGES)
def test_what_was_not_measured_is_one_line_and_no_table_of_blanks(site, name):
    shown = (site / f"{name}.html").read_text(encoding="utf-8")
    assert len(re.findall("not measured yet", shown, re.I)) <= 1


CLEAN = """# A chapter

```{code-cell} ipython3
:tags: [remove-input]
from book_tools import show
show(None, "seen")
```

```{chapter-header}
Nothing.
```

## One

A speed of {glue:text}`quiet:.1f`.

```{code-cell} ipython3
assert 1 + 1 == 2
```

| measured while this page was built | ms |
|---|---|
| pass | {glue:text}`pass_ms` |
"""
TIMED = """
```{code-cell} ipython3
:tags: [hide-input]
def timed(call):
    return interleaved_times({1: call}, 5)


quiet = benchmark_ratio("bench", "row")
kept = {}
for name in ("a", "b"):
    kept.setdefault(name, []).append(timed(print))
median = lambda name: statistics.median(kept[name])
glue("quiet", quiet)
glue("pass_ms", 1e3 * median("a"))
glue(f"{name}_gain", kept["a"] / kept["b"])
```
"""


def test_a_clock_is_followed_through_names_functions_and_containers():
    assert {"interleaved_times", "measured_roofline", "round_costs"} <= clocked_functions()
    assert ChapterPage(CLEAN + TIMED).clocked_sentences() == []
    quoted = "\n\nThe pass takes {glue:text}`pass_ms` ms, {glue:text}`a_gain:.1f` times {glue:text}`quiet`.\n"
    assert ChapterPage(CLEAN + TIMED + quoted).clocked_sentences() == ["pass_ms", "a_gain"]
    unlabelled = CLEAN.replace("measured while this page was built", "")
    assert ChapterPage(unlabelled + TIMED).clocked_sentences() == ["pass_ms"]
    again = TIMED.replace('glue("pass_ms"', 'kept = {"a": [1.0]}\nmedian = len\nglue("pass_ms"')
    assert ChapterPage(CLEAN + again + quoted).clocked_sentences() == []


def test_a_part_that_is_gone_is_missed():
    found = missing_parts(ChapterPage(CLEAN))
    assert "a demo before the first section and before any import" not in found
    assert "folded imports" not in found
    assert {
        "five drawings of the mechanism, with captions",
        "two quizzes",
        "Where the field went, five works cited",
        "Key points: two formulas",
    } <= set(found)
    demo = CLEAN.split("```{chapter-header}")[0].split("```{code-cell}")[1]
    late = CLEAN.replace("```{code-cell}" + demo, "", 1) + "```{code-cell}" + demo
    assert "a demo before the first section and before any import" in missing_parts(ChapterPage(late))
    bare = CLEAN.replace("assert 1 + 1 == 2", "import torch\nassert torch")
    assert "folded imports" in missing_parts(ChapterPage(bare))
