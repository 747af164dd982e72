"""Programs that a machine without a package manager's network lacks, from Debian packages that were carried along.

Put bubblewrap_*.deb into _build/carried/ (on a machine with a network: `apt-get download bubblewrap`).
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def bring_bubblewrap(folder: Path = ROOT / "_build" / "carried") -> str:
    """The path of bwrap, on PATH from then on; where it is not installed, out of a package that lies in the folder.

    Raises:
        FileNotFoundError: it is neither installed nor carried along.
    """
    if found := shutil.which("bwrap"):
        return found
    packages = sorted(folder.glob("bubblewrap_*.deb"))
    if not packages:
        raise FileNotFoundError(f"bubblewrap is not installed, and no bubblewrap_*.deb lies in {folder}")
    unpacked = Path(tempfile.mkdtemp(prefix="bubblewrap-"))
    subprocess.run(["dpkg-deb", "-x", str(packages[-1]), str(unpacked)], check=True)
    os.environ["PATH"] = f"{unpacked / 'usr' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return str(unpacked / "usr" / "bin" / "bwrap")
