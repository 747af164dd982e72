"""Results of the benchmarks: committed JSON under benchmarks/results/<device>/, measured beforehand.

What a sentence of the book says about speed comes from here. What a page measures while it is built stands in a table
or a figure that says so.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from book_tools.tables import show_table

_INSTALLED = Path(__file__).parent / "committed_results"  # where the wheel has them
RESULTS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[2] / "benchmarks" / "results"
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
    for report in _reports(benchmark, gpu, results):
        for entry in report["rows"]:
            if entry["row"] == row and entry["ratio"] is not None:
                return Measurement(row, entry["ratio"], entry["low"], entry["high"], report["device"], report["commit"])
    return MISSING


def show_results(
    benchmark: str, rows: dict[str, str], caption: str, gpu: bool = False, results: Path = RESULTS
) -> list[str]:
    """Display the rows of a benchmark that were measured, with device and commit, and give the others' labels.

    Args:
        benchmark: name of the benchmark's file.
        rows: the benchmark's name of each row, by what the page calls it.
        caption: what the ratios are of.

    Returns:
        Labels of the rows that were not measured, for the line at the end of the chapter that names them.
    """
    found = {label: benchmark_result(benchmark, row, gpu, results) for label, row in rows.items()}
    measured = {label: result for label, result in found.items() if isinstance(result, Measurement)}
    if measured:
        device, commit = next((result.device.upper(), result.commit) for result in measured.values())
        source = f"{caption} Measured by benchmarks/{benchmark}.py on the {device}, commit {commit}."
        cells = [(label, f"{m.ratio:.2f}", f"{m.low:.2f} to {m.high:.2f}") for label, m in measured.items()]
        show_table(("", "ratio", "95 % interval"), cells, source)
    return [label for label in found if label not in measured]


def benchmark_ratio(benchmark: str, row: str, results: Path = RESULTS) -> float:
    """The committed ratio of a row on the CPU, for a sentence.

    Raises:
        KeyError: there is no such row, or it was not measured.
    """
    found = benchmark_result(benchmark, row, results=results)
    if isinstance(found, str):
        raise KeyError(f"{benchmark} has no result for {row!r}")
    return found.ratio


def benchmark_detail(benchmark: str, name: str, results: Path = RESULTS) -> Any:
    """A committed detail of a benchmark on the CPU: a number, or what JSON holds.

    Raises:
        KeyError: there is no such detail.
    """
    for report in _reports(benchmark, False, results):
        return report["details"][name]
    raise KeyError(f"{benchmark} has no committed result")


def measured_on(benchmark: str, results: Path = RESULTS) -> str:
    """The device and the commit of a benchmark's results on the CPU, in words.

    Raises:
        KeyError: there is no committed result.
    """
    for report in _reports(benchmark, False, results):
        threads = report["details"]["threads"]
        return f"{threads} CPU core{'s' * (threads > 1)}, commit {report['commit']}"
    raise KeyError(f"{benchmark} has no committed result")


def _reports(benchmark: str, gpu: bool, results: Path) -> list[dict]:
    paths = sorted(results.glob(f"*/{benchmark}.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if gpu is not (path.parent.name == "cpu")]
