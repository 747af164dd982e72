"""Every figure of a chapter is numbered and says what to see; a chapter draws its mechanism at least five times."""

import re
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTERS = [path.stem for path in sorted(BOOK.glob("ch??_*.md"))]
FIGURES = """
[...document.querySelectorAll("figure.course-figure")].map(figure => ({
  id: figure.id,
  drawing: figure.classList.contains("course-drawing"),
  number: figure.querySelector("figcaption .figure-number")?.textContent ?? "",
  caption: figure.querySelector("figcaption")?.textContent ?? "",
  named: [...figure.querySelectorAll("svg")].map(svg => svg.getAttribute("aria-label")?.length ?? 0)
    .every((letters, i) => i ? letters === 0 : letters > 20),
}))
"""


@pytest.mark.parametrize("name", CHAPTERS)
def test_figures_are_numbered_in_order_and_say_what_to_see(reader, name):
    with reader.open(f"{name}.html") as visit:
        figures = visit.page.evaluate(FIGURES)
        links = visit.page.locator("a.figure-reference").evaluate_all(
            "all => all.map(a => [a.textContent, a.hash.slice(1)])"
        )
    chapter = int(name[2:4])
    assert [figure["number"] for figure in figures] == [f"Figure {chapter}.{i + 1}" for i in range(len(figures))]
    assert len({figure["id"] for figure in figures}) == len(figures)
    assert [figure["id"] for figure in figures if len(figure["caption"].split()) < 10 or not figure["named"]] == []
    assert sum(figure["drawing"] for figure in figures) >= 5
    known = {figure["id"]: figure["number"] for figure in figures}
    assert all(words == known.get(key, words) and re.match(r"Figure \d+\.\d+$", words) for words, key in links)
