"""Build the website into _build/html, unless nothing that it depends on has changed.

python book/_ext/build_site.py            build if something changed
python book/_ext/build_site.py --force    build in any case; cells still come from the execution cache
"""

import argparse
import fcntl
import shutil
import subprocess
import sys
import time
from pathlib import Path

from fingerprint import ROOT, SITE_INPUTS, fingerprint

BUILD = ROOT / "_build"
SITE = BUILD / "html"
_STAMP = BUILD / "site.stamp"


class BuildError(Exception):
    """Jupyter Book reported an error or a warning; its own message has been shown."""


def site_is_current() -> bool:
    """Whether the built site came from exactly the files that are here now."""
    return (SITE / "index.html").exists() and _STAMP.exists() and _STAMP.read_text() == fingerprint(SITE_INPUTS)


def build_site(force: bool = False) -> bool:
    """Build the site where it is missing or stale; one process at a time.

    Pages are always written afresh, so nothing old can survive; what takes long, executing the cells, is cached by
    content.

    Returns:
        Whether anything was built.

    Raises:
        BuildError: the build failed; no site is left behind that could be taken for a good one.
    """
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if site_is_current() and not force:
            return False
        _STAMP.unlink(missing_ok=True)
        shutil.rmtree(SITE, ignore_errors=True)
        inputs = fingerprint(SITE_INPUTS)
        jupyter_book = Path(sys.executable).with_name("jupyter-book")
        command = [jupyter_book, "build", "book", "--all", "-W", "--keep-going", "-n", "-q"]
        built = subprocess.run(command, cwd=ROOT, check=False)
        if built.returncode:
            raise BuildError(f"the site was not built: jupyter-book ended with status {built.returncode}")
        _STAMP.write_text(inputs)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="build even if nothing changed")
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        built = build_site(arguments.force)
    except BuildError as error:
        raise SystemExit(str(error)) from None
    what = f"built in {time.monotonic() - began:.0f} s" if built else "is up to date"
    print(f"The site {what}: {SITE.relative_to(ROOT) / 'index.html'}")


if __name__ == "__main__":
    main()
