"""The built site in a real browser: served on this machine, and weighed page by page."""

import functools
import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fingerprint import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
WEIGHT_LIMIT_BYTES = 500_000  # of a page without audio, gzipped


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def page_names() -> list[str]:
    """The pages of the table of contents, such as intro.html, known before the site is built."""
    pages = {path.stem for path in (ROOT / "book").glob("*.md")}
    pages |= {f"assignments/{path.stem}" for path in (ROOT / "assignments").glob("*/*.ipynb")}
    return sorted(f"{page}.html" for page in pages)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; its address, such as http://127.0.0.1:8123."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def loaded_bytes(page: "Page", site: Path) -> dict[str, int]:
    """Gzipped size of each file of the site that an open page has loaded, itself included; each file once.

    Args:
        page: open on a page of the served site, in a browser that had nothing of it before.
        site: the folder that is served.
    """
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready.then(() => 0)")
    urls = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    paths = {unquote(urlsplit(url).path).lstrip("/") for url in [page.url, *urls]}
    return {path: len(gzip.compress((site / path).read_bytes())) for path in sorted(paths) if (site / path).is_file()}


def heaviest(sizes: dict[str, int], count: int = 4) -> str:
    """The heaviest files, for a message."""
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:count]
    return ", ".join(f"{name} {size / 1000:.0f} kB" for name, size in largest)
