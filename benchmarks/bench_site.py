"""The website: what a first visit to each page transfers, and how long a build takes.

python benchmarks/bench_site.py            build a copy of this course twice, then weigh its pages
python benchmarks/bench_site.py --quick    weigh the pages of the site as it is, built first where it is stale

A weight is the gzipped size of all files that a browser loads for a page. A cold build executes every chapter; a warm
one writes every page again, with cells from the execution cache. Ratios are of the budget to what was measured.
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import ROOT, Row, arguments, missing, report

sys.path.insert(0, str(ROOT / "book/_ext"))

from build_site import SITE, build_site
from site_browser import CHROMIUM, FLAGS, WEIGHT_LIMIT_BYTES, heaviest, loaded_bytes, page_names, served

COLD_BUDGET_S, WARM_BUDGET_S = 480.0, 30.0


def page_weights(site: Path) -> dict[str, dict[str, int]]:
    """page -> file -> gzipped bytes, for every page of the table of contents."""
    from playwright.sync_api import sync_playwright

    weights = {}
    with served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name in page_names():
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.goto(f"{address}/{name}", wait_until="load")
            weights[name] = loaded_bytes(page, site)
            context.close()
        browser.close()
    return weights


def weight_rows(weights: dict[str, dict[str, int]]) -> list[Row]:
    """A row a page: how often its weight goes into the budget."""
    ratios = {name: WEIGHT_LIMIT_BYTES / sum(sizes.values()) for name, sizes in weights.items()}
    return [Row(f"budget / weight of {name}", ratio, ratio, ratio, 1.0) for name, ratio in ratios.items()]


def copy_course(destination: Path) -> None:
    """Every file of the working tree that git does not ignore, changed ones as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, destination / name)


def build_seconds(course: Path) -> dict[str, float]:
    """Seconds of a cold build, a warm one, and one with nothing to do, in a copy that was never built."""
    command = [sys.executable, str(course / "book/_ext/build_site.py")]
    seconds = {}
    for name, flags in (("cold", []), ("warm", ["--force"]), ("nothing to do", [])):
        began = time.monotonic()
        subprocess.run([*command, *flags], cwd=course, env=_imports_from(course), stdout=sys.stderr, check=True)
        seconds[name] = time.monotonic() - began
    return seconds


def _imports_from(course: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{course / 'lib'}:{course}"}


def build_rows(seconds: dict[str, float]) -> list[Row]:
    """A row for each build that has a budget."""
    budgets = {"cold": COLD_BUDGET_S, "warm": WARM_BUDGET_S}
    ratios = {name: budget / seconds.get(name, math.nan) for name, budget in budgets.items()}
    rows = [Row(f"budget / {name} build", ratio, ratio, ratio, 1.0) for name, ratio in ratios.items()]
    return [missing(row.row, row.goal) if math.isnan(row.ratio) else row for row in rows]


def main() -> None:
    options = arguments(str(__doc__))
    seconds: dict[str, float] = {}
    weights: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        course = Path(folder)
        if options.quick:
            build_site()
        else:
            copy_course(course)
            seconds = build_seconds(course)
        if CHROMIUM.exists():
            weights = page_weights(SITE if options.quick else course / SITE.relative_to(ROOT))
    details = {
        f"{name}, kB": f"{sum(sizes.values()) / 1000:.0f} ({heaviest(sizes)})" for name, sizes in weights.items()
    }
    details |= {f"{name} build, s": round(value, 1) for name, value in seconds.items()}
    if not weights:
        details["not weighed"] = f"{CHROMIUM} is not installed"
    report("bench_site", [*weight_rows(weights), *build_rows(seconds)], details, options)


if __name__ == "__main__":
    main()
