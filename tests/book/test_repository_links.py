"""Edit, issue and Colab links are there where the course has an address, and lead where they say."""

import pytest
import repository_links
from site_browser import served

from tests.book.small_book import build_small_book

PAGES = {"ch02_speculative_decoding": "# Drafting\n", "assignments/a02": "# To write\n", "glossary": "# Words\n"}


def links(folder, small_reader, name: str, **theme) -> list[str]:
    """Addresses of a page's buttons outside of the course."""
    assert build_small_book(folder, PAGES, ["repository_links"], **theme) == ""
    with served(folder / "html") as address, small_reader(address).open(f"{name}.html") as visit:
        found = visit.page.locator(".article-header-buttons a").evaluate_all("links => links.map(link => link.href)")
        return [link.replace(address, "") for link in found]


@pytest.mark.parametrize(
    ("name", "edited", "colab"),
    [("ch02_speculative_decoding", True, True), ("assignments/a02", False, True), ("glossary", True, False)],
)
def test_links_lead_to_the_page(tmp_path, small_reader, monkeypatch, name, edited, colab):
    monkeypatch.setattr(repository_links, "github_repository", lambda: "https://github.com/a/b")
    found = links(tmp_path, small_reader, name)
    assert (f"https://github.com/a/b/edit/main/book/{name}.md" in found) is edited
    assert any(link.startswith("https://github.com/a/b/issues/new") for link in found)
    notebook = f"https://colab.research.google.com/github/a/b/blob/notebooks/notebooks/{name}.ipynb"
    assert (notebook in found) is colab
    assert (f"/notebooks/{name}.ipynb" in found) is colab


def test_an_address_may_be_configured(tmp_path, small_reader, monkeypatch):
    monkeypatch.setattr(repository_links, "github_repository", lambda: None)
    found = links(tmp_path, small_reader, "glossary", repository_url="https://github.com/c/d")
    assert "https://github.com/c/d/edit/main/book/glossary.md" in found


def test_without_an_address_there_are_none(tmp_path, small_reader, monkeypatch):
    monkeypatch.setattr(repository_links, "github_repository", lambda: None)
    found = links(tmp_path, small_reader, "ch02_speculative_decoding")
    assert "/notebooks/ch02_speculative_decoding.ipynb" in found
    assert not [link for link in found if link.startswith("http")]
