"""What this GPU does at best in plain torch: bytes a copy moves and products a bf16 matmul makes, in a second.

All shares of bandwidth or of the matmul rate are of figures measured like these, in the same run.
"""

import statistics

import torch
from captured import captured
from report import arguments, report

from nimblelm.measure.timing import interleaved_times

COPY_BYTES, SIZE = 8 << 30, 8192


def measure(quick: bool) -> dict:
    torch.manual_seed(0)
    source = torch.randint(256, (COPY_BYTES,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    a, b = torch.randn(2, SIZE, SIZE, device="cuda").bfloat16()  # on zeros it would be faster
    turns = {"copy": captured([lambda: target.copy_(source)]), "matmul": captured([lambda: a @ b] * 4)}
    times = interleaved_times(turns, 5 if quick else 20, 3)
    copy, matmul = (statistics.median(times[name]) for name in turns)
    return {
        "copy, read and written, TB/s": round(2e-12 * COPY_BYTES / copy, 2),
        f"bf16 matmul of {SIZE}^3, TFLOP/s": round(1e-12 * 4 * 2 * SIZE**3 / matmul, 1),
    }


def main() -> None:
    options = arguments(str(__doc__))
    details = measure(options.quick) if torch.cuda.is_available() else {"not measured": "no CUDA device here"}
    report("bench_calibration", [], details, options)


if __name__ == "__main__":
    main()
