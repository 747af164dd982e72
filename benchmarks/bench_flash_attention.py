"""Flash attention beside cuDNN's, FlashAttention-2's, the naive formula and the matmul rate, all in one run.

A row is a ratio of geometric means over its cells: lengths from 4k to 16k, 16k tokens in all, heads * head_dim = 2048,
bf16; the details name the worst cell. On a CPU: torch's tiled attention, which ours is there, beside the naive formula.

python benchmarks/bench_flash_attention.py [--quick] [--json] [--save]
"""

import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from captured import captured
from report import Row, arguments, missing, report
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nimblelm.kernels.flash_attention import flash_attention
from nimblelm.kernels.flash_attention.configs import config_for
from nimblelm.measure.timing import interleaved_times, ratio_interval

TOKENS, WIDTH, LENGTHS = 16_384, 2048, (4096, 8192, 16_384)
MEMORY_LENGTHS = (2048, 4096, 8192, 16_384, 32_768)
CUDNN, FLASH = SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION
CPU_ROW = "cpu tiled / naive attention"
GOALS = {
    "forward d128 / cuDNN SDPA, full": 0.65,
    "forward d128 / cuDNN SDPA, causal": 0.60,
    "forward d64 / cuDNN SDPA": 0.85,
    "forward d128 / SDPA FLASH backend": 1.10,
    "backward d128 / SDPA FLASH backend": 0.80,
    "forward full / measured matmul rate": 0.50,
    "forward / naive attention, 8k causal": 6.0,
    "forward / naive attention, 8k full": 2.5,
    "extra memory, log-log slope 2k to 32k": 1.05,  # at most: all others are at least
    CPU_ROW: 1.0,
}


@dataclass(frozen=True)
class Cell:
    """One shape of the table: 16k tokens, cut into sequences of one length."""

    length: int
    head_dim: int
    causal: bool

    def tensors(self, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        shape = (TOKENS // self.length, self.length, WIDTH // self.head_dim, self.head_dim)
        q, k, v = (torch.randn(shape, device=device).to(dtype) for _ in range(3))
        return q, k, v

    @property
    def forward_flop(self) -> float:
        """Of two matrix products; a causal mask leaves half of each."""
        return 4 * TOKENS * self.length * WIDTH / (2 if self.causal else 1)

    def __str__(self):
        return f"{self.length // 1024}k d{self.head_dim} {'causal' if self.causal else 'full'}"


def sdpa(backend: SDPBackend, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """torch's attention by one backend, which refuses rather than falls back."""
    with sdpa_kernel(backend):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)


def naive(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """The formula as one would write it, scores in memory."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    scores = q @ k.mT * q.shape[3] ** -0.5
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2)


def gradients(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, causal: bool, calls: int) -> Callable:
    """A function that goes backward through one forward pass, `calls` times."""
    inputs = [x.detach().requires_grad_() for x in (q, k, v)]
    out = attend(*inputs, causal)
    dout = torch.randn_like(out)

    def backward():
        for _ in range(calls):
            torch.autograd.grad(out, inputs, dout, retain_graph=True)
        torch.cuda.synchronize()

    return backward


def check(cell: Cell) -> None:
    """Accuracy before speed: two heads against float64, an error at most twice that of the naive formula."""
    q, k, v = (x[:1, :2048, :2] for x in cell.tensors("cuda", torch.bfloat16))
    exact = naive(q.double(), k.double(), v.double(), cell.causal)
    ours, theirs = ((f(q, k, v, cell.causal) - exact).abs().max().item() for f in (flash_attention, naive))
    assert ours <= 2 * theirs, f"{cell}: error {ours} against float64, the naive formula's is {theirs}"


class Measurements:
    """Times of every alternative in every cell, taken in turns cell by cell."""

    def __init__(self, repeats: int):
        self.repeats = repeats
        self.times: dict[tuple[Cell, str], list[float]] = {}

    def take(self, cell: Cell, turns: dict[str, Callable]) -> None:
        for name, seconds in interleaved_times(turns, self.repeats, 3).items():
            self.times[cell, name] = seconds

    def forward(self, cell: Cell, peers: dict[str, Callable[..., Tensor]], calls: int = 4) -> None:
        check(cell)
        q, k, v = cell.tensors("cuda", torch.bfloat16)
        everyone = {"ours": flash_attention, **peers}
        with torch.no_grad():
            self.take(cell, {n: captured([lambda f=f: f(q, k, v, cell.causal)] * calls) for n, f in everyone.items()})

    def row(self, name: str, cells: list[Cell], peer: str, ours: str = "ours") -> tuple[Row, str]:
        """Ratio of geometric means over the cells, turn by turn; and its worst cell."""

        def mean(which: str) -> list[float]:
            turns = zip(*(self.times[cell, which] for cell in cells), strict=True)
            return [statistics.geometric_mean(turn) for turn in turns]

        ratio, low, high = (round(x, 3) for x in ratio_interval(mean(peer), mean(ours)))
        each = {str(c): ratio_interval(self.times[c, peer], self.times[c, ours])[0] for c in cells}
        worst = min(each, key=each.__getitem__)
        return Row(name, ratio, low, high, GOALS[name]), f"{each[worst]:.3f} at {worst}"


def measure(quick: bool) -> tuple[list[Row], dict]:
    """All rows that a GPU answers."""
    torch.manual_seed(0)
    measured = Measurements(5 if quick else 20)
    lengths = LENGTHS[1:2] if quick else LENGTHS
    full, causal = ([Cell(n, 128, masked) for n in lengths] for masked in (False, True))
    narrow = [Cell(n, 64, masked) for n in lengths for masked in (False, True)]
    peers = {"cudnn": lambda *x: sdpa(CUDNN, *x), "flash": lambda *x: sdpa(FLASH, *x)}
    for cell in [*full, *causal, *narrow]:
        measured.forward(cell, peers if cell.head_dim == 128 else {"cudnn": peers["cudnn"]})
    results = [
        measured.row("forward d128 / cuDNN SDPA, full", full, "cudnn"),
        measured.row("forward d128 / cuDNN SDPA, causal", causal, "cudnn"),
        measured.row("forward d64 / cuDNN SDPA", narrow, "cudnn"),
        measured.row("forward d128 / SDPA FLASH backend", [*full, *causal], "flash"),
    ]

    for cell in [*full, *causal]:
        q, k, v = cell.tensors("cuda", torch.bfloat16)
        alternatives = {"ours backward": flash_attention, "flash backward": peers["flash"]}
        measured.take(cell, {name: gradients(f, q, k, v, cell.causal, 2) for name, f in alternatives.items()})
    name = "backward d128 / SDPA FLASH backend"
    results.append(measured.row(name, [*full, *causal], "flash backward", "ours backward"))

    a, b = torch.randn(2, 8192, 8192, device="cuda").bfloat16()
    longest = full[-1]
    q, k, v = longest.tensors("cuda", torch.bfloat16)
    products = math.ceil(longest.forward_flop / (2 * 8192**3))
    with torch.no_grad():
        turns = {
            "matmul": captured([lambda: a @ b] * products),
            "ours": captured([lambda: flash_attention(q, k, v)]),
        }
    times = interleaved_times(turns, measured.repeats, 3)
    per_flop = {"matmul": products * 2 * 8192**3, "ours": longest.forward_flop}
    cost = {name: [seconds / per_flop[name] for seconds in times[name]] for name in turns}
    share = ratio_interval(cost["matmul"], cost["ours"])
    name = "forward full / measured matmul rate"
    ratio, low, high = (round(x, 3) for x in share)
    results.append((Row(name, ratio, low, high, GOALS[name]), f"{ratio} at {longest}"))

    for masked, name in ((True, "forward / naive attention, 8k causal"), (False, "forward / naive attention, 8k full")):
        cell = Cell(8192, 128, masked)
        measured.forward(cell, {"naive": naive}, calls=1)
        results.append(measured.row(name, [cell], "naive"))

    slope, extra = memory_slope()
    name = "extra memory, log-log slope 2k to 32k"
    results.append((Row(name, round(slope, 3), round(slope, 3), round(slope, 3), GOALS[name]), extra))
    return [row for row, _ in results], {
        **{f"worst cell: {row.row}": worst for row, worst in results},
        "matmul, TFLOP/s": round(1e-12 * per_flop["matmul"] / statistics.median(times["matmul"]), 1),
        "ours, TFLOP/s": rates(measured, [*full, *causal, *narrow], "ours", 4, 1.0),
        "ours backward, TFLOP/s": rates(measured, [*full, *causal], "ours backward", 2, 2.5),
        "configurations": {
            f"d{d} {'causal' if c else 'full'}": config_for(d, c, torch.bfloat16).measured or "untuned"
            for d, c in itertools.product((64, 128), (False, True))
        },
    }


def rates(measured: Measurements, cells: list[Cell], name: str, calls: int, passes: float) -> dict[str, float]:
    """TFLOP/s by cell; a backward pass counts 2.5 forward passes, whatever it recomputes."""
    flop = {cell: calls * passes * cell.forward_flop for cell in cells}
    return {str(c): round(1e-12 * flop[c] / statistics.median(measured.times[c, name]), 1) for c in cells}


def memory_slope() -> tuple[float, str]:
    """Least-squares slope of log(bytes) over log(length), of what forward and backward need beside their tensors."""
    points = []
    for length in MEMORY_LENGTHS:
        inputs = [torch.randn(1, length, 16, 128, device="cuda").bfloat16().requires_grad_() for _ in range(3)]
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        out = flash_attention(*inputs, causal=True)
        torch.autograd.grad(out, inputs, torch.ones_like(out))
        points.append((math.log(length), math.log(torch.cuda.max_memory_allocated() - before)))
        del out, inputs
    slope = statistics.linear_regression(*zip(*points, strict=True)).slope
    return slope, f"{math.exp(points[-1][1]) / 2**20:.0f} MiB at {MEMORY_LENGTHS[-1]} tokens"


def measure_cpu(quick: bool) -> tuple[list[Row], dict]:
    """The one row that a CPU answers."""
    torch.manual_seed(0)
    shape = (1, 1024 if quick else 2048, 8, 64)
    q, k, v = (torch.randn(shape) for _ in range(3))
    with torch.inference_mode():
        torch.testing.assert_close(flash_attention(q, k, v, True), naive(q, k, v, True), atol=1e-4, rtol=1e-4)
        turns = {"tiled": lambda: flash_attention(q, k, v, True), "naive": lambda: naive(q, k, v, True)}
        times = interleaved_times(turns, 5 if quick else 15, 2)
    ratio, low, high = (round(x, 3) for x in ratio_interval(times["naive"], times["tiled"]))
    return [Row(CPU_ROW, ratio, low, high, GOALS[CPU_ROW])], {
        "shape (B, S, H, D), float32, causal": shape,
        "threads": torch.get_num_threads(),
        "seconds (naive, tiled)": [round(statistics.median(times[name]), 4) for name in ("naive", "tiled")],
    }


def main() -> None:
    options = arguments(str(__doc__))
    if torch.cuda.is_available():
        rows, details = measure(options.quick)
        rows.append(missing(CPU_ROW, GOALS[CPU_ROW]))
    else:
        cpu_rows, details = measure_cpu(options.quick)
        rows = [missing(name, goal) for name, goal in GOALS.items() if name != CPU_ROW] + cpu_rows
    report("bench_flash_attention", rows, details, options)


if __name__ == "__main__":
    main()
