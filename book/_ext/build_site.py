"""Build the website into _build/html, unless nothing that it depends on has changed.

python book/_ext/build_site.py            build if something changed
python book/_ext/build_site.py --force    build in any case; a page executes again only where its inputs changed
python book/_ext/build_site.py --plan     say which pages a build would execute, without building; --json: as one object
"""

import argparse
import fcntl
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from execution import UnknownInput, execute_pages, plan
from fingerprint import ROOT, SITE_INPUTS, fingerprint
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

BUILD = ROOT / "_build"
SITE = BUILD / "html"
_STAMP = BUILD / "site.stamp"


class BuildError(Exception):
    """A page failed, or Jupyter Book reported an error or a warning; its own message has been shown."""


def site_is_current() -> bool:
    """Whether the built site came from exactly the files that are here now."""
    return (SITE / "index.html").exists() and _STAMP.exists() and _STAMP.read_text() == fingerprint(SITE_INPUTS)


def build_site(force: bool = False) -> bool:
    """Build the site where it is missing or stale; one process at a time.

    Pages are always written afresh, so nothing old can survive; what takes long, executing the cells, is done before,
    and only for pages whose inputs have changed.

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
        try:
            execute_pages(plan().execute)
        except (UnknownInput, CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise BuildError(f"the site was not built: {error}") from error
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
    parser.add_argument("--plan", action="store_true", help="say which pages would be executed, and build nothing")
    parser.add_argument("--json", action="store_true", help="with --plan: one JSON object")
    arguments = parser.parse_args()
    if arguments.plan:
        planned = plan()._asdict()
        lines = [f"{what}: {', '.join(pages) or 'none'}" for what, pages in planned.items()]
        print(json.dumps(planned) if arguments.json else "\n".join(lines))
        return
    began = time.monotonic()
    try:
        built = build_site(arguments.force)
    except BuildError as error:
        raise SystemExit(str(error)) from None
    what = f"built in {time.monotonic() - began:.0f} s" if built else "is up to date"
    print(f"The site {what}: {SITE.relative_to(ROOT) / 'index.html'}")


if __name__ == "__main__":
    main()
