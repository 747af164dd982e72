"""All that a GPU owes us, most valuable first, within a time budget; one archive comes home.

python benchmarks/gpu_run.py --minutes 28 --out _build/gpu_run

Run it again with the same --out to go on where it stopped: stages that are done are not repeated, the training goes on
from its last save. Each stage is a process of its own, so a failure costs one stage. Unpack the archive in the root of
the repository: the results lie under benchmarks/results/<device>. To add a stage, add a line to STAGES.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
TRAINING_LOG = ROOT / "_build" / "training" / "large_pair" / "log.json"
PACKAGES = ("pytest", "pytest_timeout", "rich", "scipy", "transformers", "tokenizers", "safetensors", "jaxtyping")
MAX_ARCHIVE_BYTES, MAX_LOG_BYTES = 16_000_000, 1_000_000


@dataclass(frozen=True)
class Stage:
    """A command of Python's, the minutes it may take, and those without which it is not worth starting."""

    name: str
    arguments: Sequence[str]
    minutes: float
    least_minutes: float
    needs: str | None = None  # a stage that must be done before


def benchmark(name: str, file: str, minutes: float, *flags: str, needs: str | None = None) -> Stage:
    return Stage(name, [f"benchmarks/{file}.py", "--json", "--save", *flags], minutes, minutes / 3, needs)


TRAIN = "train the larger pair"
STAGES = [
    benchmark("calibrate copy and matmul", "bench_calibration", 1.5),
    Stage("accuracy: the tests that need a GPU", ["-m", "pytest", "-q", "-m", "gpu", "tests"], 6, 1),
    benchmark("sharing device memory with the sandbox", "probe_sharing", 2),
    benchmark("grading assignment 4 on the GPU", "bench_gpu_grading", 6),
    benchmark("attention", "bench_flash_attention", 5),
    benchmark("decoding with the committed pair", "bench_gpu_decoding", 4),
    benchmark("Medusa heads", "bench_medusa", 3),
    Stage(TRAIN, ["training/train_large_pair.py", "--minutes", "10"], 13, 3),
    benchmark("decoding with the larger pair", "bench_gpu_decoding", 6, "--large", needs=TRAIN),
    benchmark("flash decoding", "bench_flash_decoding", 3),
    benchmark("weight-only quantized matmul", "bench_weight_only_matmul", 3),
    benchmark("NF4 products and the memory of QLoRA", "bench_qlora", 3),
]


def run(stage: Stage, seconds: float, log: Path) -> str:
    """'done', 'failed (status)' or 'out of time'; the output is added to the log."""
    paths = [str(ROOT / "lib"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    with log.open("a") as file:
        try:
            ended = subprocess.run(
                [sys.executable, *stage.arguments],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return "out of time"
    return "done" if ended.returncode == 0 else f"failed ({ended.returncode})"


def rows_of(log: Path) -> list[str]:
    """The rows of the last record in a log, as lines."""
    lines = log.read_text().splitlines() if log.exists() else []
    records = [json.loads(line) for line in lines if line.startswith('{"benchmark"')]
    return [f"{row['row']}: {row['ratio']} (goal {row['goal']})" for row in (records[-1]["rows"] if records else [])]


def pack(out: Path) -> Path:
    """Logs, states and results in one archive; of a long log the end.

    Raises:
        ValueError: it is larger than what comes home.
    """
    archive = out / "gpu_run.tar.gz"
    for log in out.glob("*.log"):
        log.write_bytes(log.read_bytes()[-MAX_LOG_BYTES:])
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted([*out.glob("*.log"), out / "stages.json"]):
            tar.add(path, f"_build/gpu_run/{path.name}")
        for path in (ROOT / "benchmarks" / "results", TRAINING_LOG):
            if path.exists():
                tar.add(path, str(path.relative_to(ROOT)))
    if archive.stat().st_size > MAX_ARCHIVE_BYTES:
        raise ValueError(f"{archive} has {archive.stat().st_size} bytes, the limit is {MAX_ARCHIVE_BYTES}")
    return archive


def programme(stages: Sequence[Stage], minutes: float, out: Path) -> dict[str, str]:
    """Run what is owed, one stage after the other; the state of each, by name."""
    out.mkdir(parents=True, exist_ok=True)
    record = out / "stages.json"
    states: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    deadline = time.monotonic() + 60 * minutes
    for number, stage in enumerate(stages):
        left, log = deadline - time.monotonic(), out / f"{number}.log"
        if states.get(stage.name) == "done":
            continue
        if stage.needs and states.get(stage.needs) != "done":
            states[stage.name] = f"not started: {stage.needs!r} is not done"
        elif left < 60 * stage.least_minutes:
            states[stage.name] = f"not started: {left / 60:.1f} of {stage.least_minutes:.1f} minutes left"
        else:
            began = time.monotonic()
            states[stage.name] = run(stage, min(left, 60 * stage.minutes), log)
            print(f"{stage.name}: {states[stage.name]} after {time.monotonic() - began:.0f} s", flush=True)
            for line in rows_of(log):
                print(f"    {line}", flush=True)
        record.write_text(json.dumps(states, indent=1) + "\n")
    return states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="stop after this many minutes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the logs and the archive")
    options = parser.parse_args()
    lacking = [name for name in PACKAGES if find_spec(name) is None]
    if lacking:
        raise SystemExit(f"packages that stages import are missing here: {', '.join(lacking)}")
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: gpu_run.py measures what only a GPU can")
    states = programme(STAGES, options.minutes, options.out)
    owed = [f"{name} ({state})" for name, state in states.items() if state != "done"]
    print("done:", ", ".join(name for name, state in states.items() if state == "done") or "nothing")
    print("still owed:", "; ".join(owed) or "nothing")
    print(pack(options.out))


if __name__ == "__main__":
    main()
