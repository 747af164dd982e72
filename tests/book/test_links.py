"""Every file, fragment and text alternative that the pages name, without a browser."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest


class PageParser(HTMLParser):
    """Collects ids, links, loaded resources and images without a text alternative."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.resources: list[str] = []
        self.silent: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += filter(None, [values.get("id")])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        elif tag in ("script", "img", "iframe", "audio", "source") and values.get("src"):
            self.resources.append(values["src"] or "")
        elif tag == "link" and values.get("rel") in ("stylesheet", "preload", "icon", "shortcut icon"):
            self.resources.append(values.get("href") or "")
        no_name = tag == "svg" and values.get("role") == "img" and not values.get("aria-label")
        if no_name or (tag == "img" and "alt" not in values):
            self.silent.append(f"<{tag} {attrs}>")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, PageParser]:
    return {path: PageParser(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def broken_links(page: Path, parser: PageParser, pages: dict[Path, PageParser]) -> list[str]:
    broken = []
    for link in parser.links + parser.resources:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists() or (
            parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
        ):
            broken.append(link)
    return broken


def test_every_link_and_fragment_leads_somewhere(pages):
    found = {page.name: broken_links(page, parser, pages) for page, parser in pages.items()}
    assert {page: links for page, links in found.items() if links} == {}


def test_nothing_is_loaded_from_another_machine(pages):
    outside = [r for parser in pages.values() for r in parser.resources if urlsplit(r).netloc]
    assert outside == []


def test_every_picture_has_words(pages):
    assert [picture for parser in pages.values() for picture in parser.silent] == []


def test_no_id_is_used_twice_on_a_page(pages):
    repeated = {page.name: {i for i in parser.ids if parser.ids.count(i) > 1} for page, parser in pages.items()}
    assert {page: ids for page, ids in repeated.items() if ids} == {}


def test_a_missing_fragment_is_found(tmp_path):
    page = tmp_path / "a.html"
    page.write_text('<a href="#here">x</a><a href="#gone">x</a><a href="b.html">x</a><p id="here">')
    parser = PageParser(page)
    assert broken_links(page, parser, {page: parser}) == ["#gone", "b.html"]


def test_no_solution_or_hidden_test_is_published(site):
    published = [path for path in site.rglob("*") if path.suffix in (".html", ".md", ".ipynb", ".txt", ".json")]
    assert published
    for path in published:
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text, path
        assert "BEGIN HIDDEN TESTS" not in text, path
