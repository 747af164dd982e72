"""Pack the chapters to run elsewhere: their notebooks, the wheels that they need, and the versions of the lock.

python book/_ext/release_book.py    builds the site where it is stale, then _build/release/chapters/ and chapters.zip
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from build_site import SITE, BuildError, build_site
from execution import notebook_pages
from fingerprint import ROOT

RELEASE = ROOT / "_build" / "release"
_SOURCES = {  # of each distribution: the folder of its pyproject.toml, and what is built from
    "nimblelm": (".", ("pyproject.toml", "lib/nimblelm")),
    "nimblelm_book": ("book", ("book/pyproject.toml", "book/setup.py", "book/book_tools", "benchmarks/results")),
}
_README = """# The chapters as notebooks

Needed: Python 3.11 or 3.12 and 6 GB of disk; no GPU.

    python -m venv .venv && .venv/bin/python -m pip install -r requirements.txt
    .venv/bin/jupyter lab

Elsewhere, as on Colab, upload a notebook and both wheels into one folder: its first cell installs them.
"""


def build_wheel(name: str, destination: Path) -> Path:
    """Build one of the two wheels from a copy of its sources; needs no network.

    Raises:
        CalledProcessError: pip failed.
    """
    folder, parts = _SOURCES[name]
    with tempfile.TemporaryDirectory() as copy:
        for part in parts:
            source, target = ROOT / part, Path(copy) / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copyfile(source, target)
        flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(destination)]
        subprocess.run([sys.executable, "-m", "pip", "wheel", *flags, str(Path(copy) / folder)], check=True)
    (wheel,) = destination.glob(f"{name}-*.whl")
    return wheel


def release_chapters(notebooks: Path, destination: Path, pages: Iterable[str]) -> None:
    """Put notebooks, wheels, versions and a word on how to use them into an empty folder."""
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir(parents=True)
    for page in pages:
        shutil.copyfile(notebooks / f"{page}.ipynb", destination / f"{page}.ipynb")
    wheels = [build_wheel(name, destination) for name in _SOURCES]
    wanted = {"jupyterlab", "triton"}.union(*map(_needs, wheels))
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lock if re.split(r"[=;\s]", line)[0].lower() in wanted]
    lines = [*pins, *(f"./{wheel.name}" for wheel in wheels)]
    (destination / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (destination / "README.md").write_text(_README, encoding="utf-8")


def _needs(wheel: Path) -> set[str]:
    """Names of what a wheel depends on."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return set(re.findall(r"^Requires-Dist: ([\w-]+)", archive.read(metadata).decode(), re.MULTILINE))


def main() -> None:
    try:
        build_site()
    except BuildError as error:
        raise SystemExit(str(error)) from None
    chapters = [page for page in notebook_pages() if page.startswith("ch")]
    release_chapters(SITE / "notebooks", RELEASE / "chapters", chapters)
    shutil.make_archive(str(RELEASE / "chapters"), "zip", RELEASE, "chapters")
    print(f"{len(chapters)} chapters with two wheels: {(RELEASE / 'chapters.zip').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
