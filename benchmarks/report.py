"""How every benchmark reports: a table for people, one line of JSON for scripts, a file under results/ on request."""

import argparse
import json
import math
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
import transformers
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.progress import say, track, update  # noqa: E402

__all__ = ["Row", "arguments", "device_name", "missing", "report", "say", "track", "update"]


@dataclass(frozen=True)
class Row:
    """One measured ratio with its 95 % interval, and the least that we ask of it; nan where there is none."""

    row: str
    ratio: float
    low: float
    high: float
    goal: float


def missing(row: str, goal: float) -> Row:
    """A row that this machine cannot measure."""
    return Row(row, math.nan, math.nan, math.nan, goal)


def arguments(description: str, numbers: dict[str, str] | None = None, **flags: str) -> argparse.Namespace:
    """The options that all benchmarks share, and a benchmark's own flags and whole numbers with what they do."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats: a look, not a result")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<device>/<benchmark>.json")
    for name, purpose in (numbers or {}).items():
        parser.add_argument(f"--{name}", type=int, help=purpose)
    for name, purpose in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=purpose)
    options = parser.parse_args()
    say(f"{parser.prog} measures")
    return options


def device_name() -> str:
    return torch.cuda.get_device_name().split()[-1].lower() if torch.cuda.is_available() else "cpu"


def report(
    benchmark: str, rows: list[Row], details: dict, options: argparse.Namespace, recording: dict | None = None
) -> None:
    """Print the table and the details; then JSON where asked for. A recording is only saved: pages play it."""
    console = Console()
    table = Table(title=f"{benchmark} on {device_name()}")
    for heading in ("row", "ratio", "95 % interval", "goal"):
        table.add_column(heading, justify="left" if heading == "row" else "right")
    for row in rows:
        ratio, interval = (
            ("missing", "") if math.isnan(row.ratio) else (f"{row.ratio:.2f}", f"{row.low:.2f} to {row.high:.2f}")
        )
        table.add_row(row.row, ratio, interval, "none" if math.isnan(row.goal) else f"{row.goal:.2f}")
    console.print(table)
    for name, value in details.items():
        console.print(f"{name}: {value}", highlight=False)
    record = {
        "benchmark": benchmark,
        "device": device_name(),
        "commit": _commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            **_gpu_versions(),
        },
        "rows": [_without_nan(asdict(row)) for row in rows],
        "details": details,
    }
    if options.save:
        path = ROOT / "benchmarks" / "results" / device_name() / f"{benchmark}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        saved = record | ({"recording": recording} if recording else {})
        path.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n")
    if options.json:
        print(json.dumps(record))


def _without_nan(row: dict) -> dict:
    """JSON has no nan: what is missing is null."""
    return {name: None if value != value else value for name, value in row.items()}


def _gpu_versions() -> dict[str, str]:
    if not torch.cuda.is_available():
        return {}
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True
    )
    return {
        "gpu": torch.cuda.get_device_name(),
        "driver": asked.stdout.split()[0],
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
        "triton": version("triton"),
    }


def _commit() -> str | None:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip() or None
