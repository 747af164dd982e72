"""Results of the benchmarks: committed JSON under benchmarks/results/<device>/, measured when a machine was quiet."""

import json
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
MISSING = "not measured yet"


class Measurement(NamedTuple):
    """One row of a benchmark and the device it was measured on."""

    row: str
    ratio: float
    low: float
    high: float
    device: str
    commit: str

    def __str__(self) -> str:
        return f"{self.ratio:.2f}x ({self.low:.2f} to {self.high:.2f})"


def benchmark_result(benchmark: str, row: str, gpu: bool = False, results: Path = RESULTS) -> Measurement | str:
    """The committed measurement of one row, or the words "not measured yet".

    Args:
        benchmark: name of the benchmark's file, without `.json`.
        row: name of its row.
        gpu: read the results of GPUs; else those of the folder `cpu`.
        results: folder with one folder for each device.
    """
    for path in sorted(results.glob(f"*/{benchmark}.json")):
        if gpu is (path.parent.name == "cpu"):
            continue
        report = json.loads(path.read_text(encoding="utf-8"))
        for entry in report["rows"]:
            if entry["row"] == row:
                return Measurement(row, entry["ratio"], entry["low"], entry["high"], report["device"], report["commit"])
    return MISSING
