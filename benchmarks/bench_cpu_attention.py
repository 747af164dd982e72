"""Attention on a CPU: where the time of the naive steps goes, tiles against them, and methods with fewer scores.

The chapter on flash attention quotes it. What is compared takes turns; a ratio is a median over the turns with a
bootstrap interval.
"""

import math
import os
import statistics

import torch
from report import Row, arguments, report, say

from nimblelm.kernels.flash_attention import flash_attention
from nimblelm.kernels.flash_attention.tiled import tiled_attention
from nimblelm.measure.peak_memory import peak_bytes
from nimblelm.measure.timing import interleaved_times, ratio_interval
from nimblelm.nn.long_range.methods import long_range_methods, naive_attention

LENGTH, NAIVE, FLASH = 2048, "full, naive", "full, flash"


def steps(repeats: int) -> tuple[list[Row], dict]:
    """The four steps of one head of width 64 over 1024 tokens."""
    n, width = 1024, 64
    q, k, v = torch.randn(3, n, width, generator=torch.Generator().manual_seed(0))
    scores = q @ k.T
    probs = (scores / width**0.5).softmax(-1)
    calls = {
        "Q Kᵀ": lambda: q @ k.T,
        "scaling": lambda: scores / width**0.5,
        "softmax": lambda: scores.softmax(-1),
        "P V": lambda: probs @ v,
    }
    times = interleaved_times(calls, repeats, warmups=2)
    middle = [a + b for a, b in zip(times["scaling"], times["softmax"], strict=True)]
    whole = [sum(turn, 0.0) for turn in zip(*times.values(), strict=True)]
    rows = [
        _row("operations a second, Q Kᵀ / scaling", times["scaling"], times["Q Kᵀ"], 2 * width),
        _row("time of scaling and softmax / of all four steps", middle, whole),
    ]
    return rows, {"ms of each step": {name: round(1e3 * statistics.median(t), 2) for name, t in times.items()}}


def tiles(length: int, repeats: int) -> tuple[list[Row], dict]:
    """The naive formula, tiles in torch and torch's own compiled tiles; 4 heads of width 64."""
    q, k, v = torch.randn(3, 1, length, 4, 64, generator=torch.Generator().manual_seed(1))
    calls = {
        "naive": lambda: naive_attention(q, k, v),
        "tiled, torch": lambda: tiled_attention(q, k, v),
        "tiled, compiled": lambda: flash_attention(q, k, v),
    }
    times = interleaved_times(calls, repeats, warmups=1)
    peaks = {name: round(peak_bytes(call) / 1e6, 1) for name, call in calls.items()}
    rows = [_row(f"naive / {name}, {length} tokens", times["naive"], times[name]) for name in list(calls)[1:]]
    return rows, {f"peak MB at {length}": peaks}


def fewer_scores(length: int, repeats: int) -> tuple[list[Row], dict]:
    """Nine methods in turns; 4 heads of width 32."""
    generator = torch.Generator().manual_seed(2)
    q, k, v = torch.randn(3, 1, length, 4, 32, generator=generator)
    methods, _ = long_range_methods(length, 32, generator)
    calls = {name: lambda attend=attend: attend(q, k, v) for name, attend in methods.items()}
    times = interleaved_times(calls, repeats, warmups=1)
    peaks = {name: round(peak_bytes(call) / 1e6, 1) for name, call in calls.items()}
    rows = [_row(f"{NAIVE} / {name}, {length} tokens", times[NAIVE], times[name]) for name in calls if name != NAIVE]
    flash = statistics.median(times[FLASH])
    slower = [name for name, t in times.items() if name != NAIVE and statistics.median(t) > flash]
    return rows, {f"methods: peak MB at {length}": peaks, f"slower than exact tiles at {length}": slower}


def _row(name: str, slow: list[float], fast: list[float], factor: float = 1.0) -> Row:
    ratio, low, high = (round(factor * x, 3) for x in ratio_interval(slow, fast))
    return Row(name, ratio, low, high, math.nan)


def main() -> None:
    options = arguments(str(__doc__))
    length, repeats = (256, 3) if options.quick else (LENGTH, 9)
    rows, details = [], {"threads": torch.get_num_threads(), "load average when it began": round(os.getloadavg()[0], 1)}
    for part in (steps, lambda n: tiles(length, n), lambda n: fewer_scores(length, n)):
        say("next part")
        more, facts = part(repeats)
        rows += more
        details |= facts
    report("bench_cpu_attention", rows, details, options)


if __name__ == "__main__":
    main()
