"""Reading aids: definitions beside their terms, numbers by chapter, a search that finds chapters first."""

import pytest
from playwright.sync_api import expect
from site_browser import served

from tests.book.small_book import build_small_book

CHAPTER = """# Drafting

A {term}`draft model` proposes; see {eq}`cost` and {prf:ref}`exact`. Then a {term}`bonus token` comes.

```{code-block} python
residual = "in code, before any prose says the word"
```

$$ c = 1 $$ (other)

$$ t = c k $$ (cost)

```{prf:theorem}
:label: exact

The residual of prose is normalised.
```
"""
GLOSSARY = """# Glossary

:::{glossary}
draft model
  A *small* model. Not a {term}`bonus token`.

bonus token
  One token more, a residual of luck.
:::
"""
PAGES = {
    "notes": "# Notes on the residual\n\nResidual, residual, residual.\n",
    "ch02_drafting": CHAPTER,
    "ch03_other": "# Other\n\n"
    "By {prf:ref}`mine` and {prf:ref}`exact`, {eq}`third`, {eq}`cost`; {doc}`ch02_drafting`.\n\n"
    "$$ x $$ (third)\n\n```{prf:theorem}\n:label: mine\n\nIt is.\n```\n",
    "glossary": GLOSSARY,
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    assert build_small_book(folder, PAGES, ["sphinx_proof", "numbering"]) == ""
    with served(folder / "html") as address:
        yield address


def test_a_definition_opens_on_hover_and_on_focus_and_closes_on_escape(address, small_reader):
    with small_reader(address).open("ch02_drafting.html") as visit:
        page = visit.page
        link, note = page.get_by_role("link", name="draft model"), page.locator("#note-term-draft-model")
        expect(note).not_to_be_visible()
        link.hover()
        expect(note).to_have_text("A small model. Not a bonus token.")
        expect(note).to_be_visible()
        assert note.locator("a").count() == 0
        note.hover()
        page.wait_for_timeout(400)
        expect(note).to_be_visible()  # it may be read with the pointer on it
        page.mouse.move(5, 600)
        expect(note).not_to_be_visible()
        link.focus()
        expect(note).to_be_visible()
        assert link.get_attribute("aria-describedby") == "note-term-draft-model"
        page.keyboard.press("Escape")
        expect(note).not_to_be_visible()
        link.focus()
        page.keyboard.press("Tab")
        expect(note).not_to_be_visible()
        page.get_by_role("link", name="bonus token").focus()
        link.press("Enter")
        page.wait_for_url("**/glossary.html#term-draft-model")


def test_on_a_phone_the_first_tap_reads_and_the_second_follows(address, small_reader):
    with small_reader(address).open("ch02_drafting.html", "mobile") as visit:
        link, note = visit.page.get_by_role("link", name="bonus token"), visit.page.locator("#note-term-bonus-token")
        link.tap()
        expect(note).to_be_visible()
        box = note.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        visit.page.touchscreen.tap(200, 700)
        expect(note).not_to_be_visible()
        link.tap()
        expect(note).to_be_visible()
        link.tap()
        visit.page.wait_for_url("**/glossary.html#term-bonus-token")


def test_titles_equations_and_theorems_begin_with_the_number_of_the_chapter(address, small_reader):
    with small_reader(address).open("ch02_drafting.html") as visit:
        assert visit.page.locator(".bd-article h1").inner_text().startswith("2 · Drafting")
        assert visit.page.title().startswith("2 · Drafting")
        numbers = visit.page.locator(".eqno").all_inner_texts()
        assert [number.strip("#¶ ") for number in numbers] == ["(2.1)", "(2.2)"]
        text = visit.page.locator("article").inner_text()
        assert "see (2.2) and Theorem 2.1." in text
    with small_reader(address).open("ch03_other.html") as visit:
        assert (
            "By Theorem 3.1 and Theorem 2.1, (3.1), (2.2); 2 · Drafting." in visit.page.locator("article").inner_text()
        )


def test_an_excerpt_is_where_most_of_the_words_are(address, small_reader):
    with small_reader(address).open("search.html?q=model+luck") as visit:
        context = visit.page.locator("ul.search li p.context").first
        expect(context).to_contain_text("small model")
        expect(context).to_contain_text("residual of luck")


def test_search_shows_chapters_first_with_prose(address, small_reader):
    with small_reader(address).open("search.html?q=residual") as visit:
        found = visit.page.locator("ul.search li")
        expect(found.locator("p.context")).to_have_count(3)
        assert found.nth(0).locator("a").inner_text().startswith("2 · Drafting")
        excerpts = found.locator("p.context").all_inner_texts()
        assert "The residual of prose is normalised" in excerpts[0]
        assert all("in code" not in excerpt and "Contents" not in excerpt for excerpt in excerpts)
