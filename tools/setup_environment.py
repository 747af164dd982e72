"""Set up .venv from requirements.txt, and what apt can give where the user may use it. Needs Python and nothing else.

python tools/setup_environment.py             what `make` needs
python tools/setup_environment.py --tests     what `make test` needs besides: a browser, and Slurm for the slow tests

Redoes only what changed. What could not be installed is said in one line, with what it costs.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PIP = [VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
STAMP = VENV / "installed.sha256"
DEPENDS_ON = ("requirements.txt", "pyproject.toml", "autograder/pyproject.toml")
PACKAGES = {  # command -> Debian package, what is lost without it
    "bwrap": ("bubblewrap", "nothing can be graded, but for the weaker mode `autograder grade --no-sandbox`"),
    "chromium": ("chromium", "the browser test is skipped"),
}


def install_python_packages() -> None:
    """Create .venv and install the lock and the two packages of this repository, unless that has been done."""
    wanted = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in DEPENDS_ON)).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        sys.exit(
            f"Python {sys.version.split()[0]} is not supported: call make with PYTHON=python3.11 or PYTHON=python3.12"
        )
    if not (VENV / "bin" / "python").exists():
        print("creating .venv", flush=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    print("installing requirements.txt into .venv (about 6 GB, two minutes on a fast line)", flush=True)
    subprocess.run([*PIP, "install", "-r", ROOT / "requirements.txt"], check=True)
    editable = ["install", "--no-deps", "--no-build-isolation", "-e", ROOT, "-e", ROOT / "autograder"]
    subprocess.run([*PIP, *editable], check=True)
    STAMP.write_text(wanted)


def install_debian_package(command: str) -> None:
    """Install the packages that bring a command, as root or through a sudo that asks no password."""
    if shutil.which(command):
        return
    package, loss = PACKAGES[command]
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    may = shutil.which("apt-get") and (not sudo or _succeeds([*sudo, "true"]))
    if may:
        print(f"installing Debian's {package}", flush=True)
        apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        if _succeeds([*apt, "update"]) and _succeeds([*apt, "install", "-y", "--no-install-recommends", package]):
            return
    print(f"{package} could not be installed: {loss}", flush=True)


def _succeeds(command: list[str]) -> bool:
    try:
        return (
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
        )
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true", help="install what the tests need as well")
    options = parser.parse_args()
    try:
        install_python_packages()
    except subprocess.CalledProcessError as error:
        sys.exit(f"setting up .venv failed with status {error.returncode}; run make again to go on")
    install_debian_package("bwrap")
    if options.tests:
        install_debian_package("chromium")


if __name__ == "__main__":
    main()
