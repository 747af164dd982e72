"""The built site, served on this machine, and a browser to look at it with."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book/_ext")]

from build_site import SITE, build_site  # noqa: E402
from site_browser import CHROMIUM, FLAGS, served  # noqa: E402

SCRIPT = "text/javascript"
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
    def open(self, path: str, mode: str = "light", *, formulas: bool = False, **options: object) -> Iterator[Visit]:
        """A page in a window of its own. Setting its formulas takes more than half of the time: only where asked."""
        context = self.browser.new_context(**{**MODES[mode], **options})
        visit = Visit(context.new_page())
        visit.page.route("**/*", lambda route: self._let_pass(route, visit))
        if not formulas:
            visit.page.route("**/mathjax/startup.js", lambda route: route.fulfill(body="", content_type=SCRIPT))
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        visit.page.on("console", lambda line: visit.errors.append(line.text) if line.type == "error" else None)
        visit.page.on("response", lambda reply: visit.missing.append(reply.url) if reply.status >= 400 else None)
        visit.page.goto(f"{self.address}/{path}", wait_until="load")
        if formulas and visit.page.locator(".math").count():
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
def chromium() -> Iterator[BrowserType]:
    """Starts browsers; a process has one, since playwright does not start twice in a thread."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: the site is not looked at in a browser")
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="session")
def browser(chromium: BrowserType) -> Iterator[Browser]:
    browser = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def reader(site: Path, browser: Browser) -> Iterator[Reader]:
    with served(site) as address:
        yield Reader(browser, address)


@pytest.fixture(scope="session")
def small_reader(browser: Browser) -> Callable[[str], Reader]:
    """A reader of another folder than the site, served at the address it is called with."""
    return lambda address: Reader(browser, address)
