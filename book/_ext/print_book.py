"""Print the whole book into _build/nimble-language-models.pdf through Chromium, with contents and page numbers.

python book/_ext/print_book.py    builds the site first where it is stale
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build_site import BUILD, SITE, BuildError, build_site
from execution import toc_pages
from fingerprint import ROOT
from playwright.sync_api import sync_playwright
from site_browser import CHROMIUM, FLAGS, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

PDF = BUILD / "nimble-language-models.pdf"
STYLES = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
_FOOTER = (
    '<div style="font-size: 8px; width: 100%; text-align: center; font-family: sans-serif">'
    '<span class="pageNumber"></span></div>'
)
# Chromium leaves these, and where links lead, uncompressed.
_PAGE_OBJECT = re.compile(rb"(\d+) 0 obj\s*<</Type /Page\b(?!s)")
_TARGET = re.compile(rb"/([\w.-]+)--top \[(\d+) 0 R /XYZ")


def number_of_pages(pdf: bytes) -> int:
    return len(_PAGE_OBJECT.findall(pdf))


def first_sheets(pdf: bytes) -> dict[str, int]:
    """The sheet on which each part begins, by the part's name."""
    sheets = {page: number for number, page in enumerate(_PAGE_OBJECT.findall(pdf), 1)}
    return {name.decode(): sheets[page] for name, page in _TARGET.findall(pdf)}


def print_pages(page: "Page") -> bytes:
    """The open document as it is, on A4 with page numbers."""
    margins: Any = {"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"}
    return page.pdf(format="A4", margin=margins, print_background=True, outline=True, tagged=True,
                    display_header_footer=True, header_template="<span></span>", footer_template=_FOOTER)  # fmt: skip


def print_book(page: "Page", address: str, names: Iterable[str]) -> bytes:
    """One PDF of several pages of the served site.

    It is printed twice: the first time shows on which sheet each part begins, the second has these numbers in its
    contents.

    Args:
        page: of a browser that nothing was opened in yet.
        address: where the site is served.
        names: the pages in their order, such as "ch01_decoding_and_its_cost".

    Raises:
        RuntimeError: something would be cut off at the edge of the paper, or the numbers would be wrong.
    """
    page.emulate_media(media="print", color_scheme="light")
    page.set_viewport_size({"width": 660, "height": 980})  # A4 without its margins
    page.goto(f"{address}/intro.html", wait_until="load")
    page.add_style_tag(content=STYLES)
    page.add_script_tag(content=SCRIPT)
    parts = page.evaluate("names => window.printBook.gather(names)", list(names))
    if cut := page.evaluate("window.printBook.cut()"):
        raise RuntimeError(f"wider than the paper: {json.dumps(cut[:5])}")
    starts = first_sheets(print_pages(page))
    page.evaluate("starts => window.printBook.number(starts)", [starts[part] for part in parts])
    pdf = print_pages(page)
    if first_sheets(pdf) != starts:
        raise RuntimeError("the numbers in the contents have moved the parts")
    return pdf


def main() -> None:
    try:
        build_site()
    except BuildError as error:
        raise SystemExit(str(error)) from None
    with served(SITE) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        PDF.write_bytes(print_book(browser.new_page(), address, toc_pages()))
        browser.close()
    print(f"{number_of_pages(PDF.read_bytes())} pages: {PDF.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
