"""Every test there is, and a record of it: benchmarks/results/<device>/test_all.json. `make test-all` runs it.

python tools/run_all_tests.py -- PYTEST...    the command to run pytest with

The record says when, on which commit and in which versions the tests ran, and how each tier ended. A tree with changes
that are not committed leaves none: nobody could check it out.
"""

import datetime
import json
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TIERS = {"test": "not slow and not release", "test-slow": "slow and not release", "release": "release"}


def run_tier(pytest: list[str], marks: str) -> dict[str, Any]:
    """How the tests with these marks ended: counts, the names of those that failed, minutes."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run([*pytest, "-m", marks, f"--junitxml={report}"], cwd=ROOT, check=False)
        found = outcome(report.read_text(encoding="utf-8")) if report.exists() else {}
    return {**found, "status": done.returncode, "minutes": round((time.monotonic() - began) / 60, 1)}


def outcome(report: str) -> dict[str, Any]:
    """Counts and failures of a report in JUnit's format."""
    cases = list(ElementTree.fromstring(report).iter("testcase"))
    failed = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = [c for c in cases if c.find("skipped") is not None]
    names = sorted(f"{case.get('classname')}::{case.get('name')}" for case in failed)
    return {"passed": len(cases) - len(failed) - len(skipped), "skipped": len(skipped), "failed": names}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def device_name() -> str:
    import torch

    return torch.cuda.get_device_name().split()[-1].lower() if torch.cuda.is_available() else "cpu"


def main() -> None:
    pytest = sys.argv[sys.argv.index("--") + 1 :]
    clean, commit = not _git("status", "--porcelain"), _git("rev-parse", "--short", "HEAD")
    tiers = {name: run_tier(pytest, marks) for name, marks in TIERS.items()}
    record = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "device": device_name(),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "tiers": tiers,
    }
    print(json.dumps(record, indent=1))
    if clean:
        path = ROOT / "benchmarks" / "results" / device_name() / "test_all.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    else:
        print("no record: there are changes that are not committed")
    sys.exit(int(any(tier["status"] for tier in tiers.values())))


if __name__ == "__main__":
    main()
