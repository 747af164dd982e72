"""The book on paper: every part on sheets of its own, numbers that are right, nothing cut off."""

import pytest
from print_book import first_sheets, number_of_pages, print_book
from site_browser import served

from tests.book.small_book import build_small_book

WIDE = "x = " + " + ".join(f"a_long_name_{i}" for i in range(40))
PAGES = {
    "intro": "# Begin\n\nSee [the second](ch02_two.md).\n",
    "ch01_one": "# One\n\n" + "A paragraph about $x$.\n\n" * 120 + "$$\ny = x\n$$\n",
    "ch02_two": f"# Two\n\n```python\n{WIDE}\n```\n\n## Far\n\n| a | b |\n|---|---|\n| `{'y' * 200}` | 2 |\n\n"
    "```{quiz} Which?\n- a\n\n  No. Folded on the page.\n- b\n\n  Yes. So.\n- c\n\n  No. Not.\n```\n",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    assert build_small_book(folder, PAGES, ["exercises", "numbering"]) == ""
    with served(folder / "html") as address:
        yield address


def test_contents_have_the_sheets_on_which_the_parts_begin(address, browser):
    page = browser.new_page()
    pdf = print_book(page, address, PAGES)
    titles = page.locator(".book-contents a").all_inner_texts()
    numbers = [int(number) for number in page.locator(".book-contents .book-number").all_inner_texts()]
    assert titles == ["Begin", "1 · One", "2 · Two"]
    assert numbers[:2] == [2, 3]
    assert numbers[2] - numbers[1] >= 3  # 120 paragraphs
    assert number_of_pages(pdf) == numbers[2]
    assert list(first_sheets(pdf).values()) == numbers
    targets = page.locator("a[href^='#']").evaluate_all(
        "links => links.filter(a => !document.getElementById(a.hash.slice(1))).length"
    )
    assert targets == 0
    links = page.locator("a[href^='#']")
    assert links.evaluate_all("links => links.every(link => document.getElementById(link.hash.slice(1)))")
    assert page.get_by_text("Folded on the page").is_visible()
    assert page.locator("mjx-container").count() == 121
    sizes = page.locator("mjx-container").evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert sizes[-1] > 0.9 * sizes[0]  # a formula of its own is as large as one in a line
    boxes = page.locator("div.highlight")
    assert boxes.evaluate_all("all => all.every(one => getComputedStyle(one).breakInside === 'avoid')")
    page.close()


UNBROKEN = "main.book.bd-content div pre, main.book.bd-content div pre * { white-space: pre !important }"


def test_what_would_be_cut_is_an_error(address, browser):
    page = browser.new_page()
    style = f"document.head.insertAdjacentHTML('beforeend', '<style>{UNBROKEN}</style>')"
    page.add_init_script(f"addEventListener('load', () => {style})")
    with pytest.raises(RuntimeError, match=r"wider than the paper.*a_long_name"):
        print_book(page, address, ["intro", "ch02_two"])
    page.close()
