"""The built site, served on this machine, and a browser to look at it with."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book/_ext")]

from build_site import SITE, build_site  # noqa: E402
from site_browser import CHROMIUM, FLAGS, served  # noqa: E402

MODES = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "mobile": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "is_mobile": True,
        "has_touch": True,
    },
}


@dataclass
class Visit:
    """An open page and all that went wrong on it."""

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def embedded(self, widget: str) -> dict:
        """The table that a widget was given, read from the page's source."""
        source = self.page.evaluate("url => fetch(url).then(reply => reply.text())", self.page.url)
        start = source.index(f'data-widget="{widget}"')
        begin = source.index('<script type="application/json">', start) + len('<script type="application/json">')
        return json.loads(source[begin : source.index("</script>", begin)])


@dataclass
class Reader:
    """Opens pages of the site in a browser that lets no request leave the machine."""

    browser: Browser
    address: str

    @contextmanager
    def open(self, path: str, mode: str = "light", **options: object) -> Iterator[Visit]:
        context = self.browser.new_context(**{**MODES[mode], **options})
        visit = Visit(context.new_page())
        visit.page.route("**/*", lambda route: self._let_pass(route, visit))
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        visit.page.on("console", lambda line: visit.errors.append(line.text) if line.type == "error" else None)
        visit.page.on("response", lambda reply: visit.missing.append(reply.url) if reply.status >= 400 else None)
        visit.page.goto(f"{self.address}/{path}", wait_until="load")
        if options.get("java_script_enabled", True) and visit.page.locator(".math").count():
            visit.page.wait_for_function("() => document.querySelector('mjx-container') !== null")
        yield visit
        context.close()

    def _let_pass(self, route, visit: Visit) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            visit.outside.append(route.request.url)
            route.abort()


@pytest.fixture(scope="session")
def site() -> Path:
    """The site's folder, built first where it is missing or stale."""
    build_site()
    return SITE


@pytest.fixture(scope="session")
def reader(site: Path) -> Iterator[Reader]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: the site is not looked at in a browser")
    with served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield Reader(browser, address)
        browser.close()
