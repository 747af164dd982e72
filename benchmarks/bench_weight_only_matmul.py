"""Weight-only quantized matmul in int8 and int4 against cuBLAS in bf16, on the weights of a 16384^2 layer.

python benchmarks/bench_weight_only_matmul.py [--quick] [--json] [--save] [--tune]
"""

import itertools
import statistics

import torch
import torch.nn.functional as F
from captured import captured
from report import Row, arguments, missing, report

from nimblelm.kernels.weight_only_matmul import (
    Int4Weight,
    Int8Weight,
    quantize_int4,
    quantize_int8,
    reference,
    weight_only_matmul,
)
from nimblelm.measure.timing import interleaved_times, ratio_interval

SIZE = 16_384
ROWS = {  # (bits, M) -> name and goal
    (8, 1): ("int8 weight-only, M=1, 16384^2, against cuBLAS bf16", 1.4),
    (4, 1): ("int4 weight-only M=1", 1.5),
    (4, 16): ("int4 weight-only M=16", 1.1),
}
OTHERS = [(8, 16), (8, 64), (4, 4), (4, 64), (4, 128)]
BUFFERS, CALLS = 3, 12  # three copies of each matrix: the smallest are 0.4 GB together, L2 holds 0.06


def check(x: torch.Tensor, weight: Int8Weight | Int4Weight) -> None:
    """Accuracy before speed: against float64, and no worse than twice cuBLAS on the dequantized weights."""
    exact = reference.weight_only_matmul(x.double(), weight)
    out, eager = weight_only_matmul(x, weight).double(), reference.weight_only_matmul(x, weight).double()
    error = ((out - exact).square().mean() / exact.square().mean()).sqrt().item()
    assert error <= 0.01, f"relative error {error} against float64"
    assert (out - exact).abs().max() <= 2 * (eager - exact).abs().max()


def copies(weight: Int8Weight | Int4Weight) -> list[Int8Weight | Int4Weight]:
    """The same weight in buffers of its own."""
    if isinstance(weight, Int8Weight):
        return [Int8Weight(weight.values.clone(), weight.scales.clone()) for _ in range(BUFFERS)]
    return [Int4Weight(weight.packed.clone(), weight.scales.clone(), weight.group_size) for _ in range(BUFFERS)]


def tune(x: torch.Tensor, weight: Int8Weight | Int4Weight) -> None:
    """Seconds a call of other tiles, least first."""
    from nimblelm.kernels.weight_only_matmul import launch as kernels

    bits = 8 if isinstance(weight, Int8Weight) else 4
    shipped = kernels.choose_tile(len(x), bits, x.dtype)
    widths = (8, 16, 32) if shipped.block_m == 1 else (64, 128, 256)
    depths = (256, 512, 1024) if shipped.block_m == 1 else (128,)
    stages_tried = (1,) if shipped.block_m == 1 else (3, 4)
    turns = {}
    for n, k, warps, stages, resident in itertools.product(widths, depths, (4, 8), stages_tried, (2, 3, 4)):
        tile = shipped._replace(block_n=n, block_k=k, num_warps=warps, num_stages=stages, resident=resident)
        if stages * k * (n + 2 * shipped.block_m) <= 200_000:
            turns[tile] = captured([lambda t=tile: kernels.weight_only_matmul(x, weight, t)])
    times = {tile: statistics.median(seconds) for tile, seconds in interleaved_times(turns, 10).items()}
    print(f"int{bits}, M={len(x)}")
    for tile, seconds in sorted(times.items(), key=lambda item: item[1])[:5]:
        print(f"{1e6 * seconds:7.1f} us  {tile}")


def measure(quick: bool, tuning: bool) -> tuple[list[Row], dict]:
    torch.manual_seed(0)
    matrix = torch.randn(SIZE, SIZE, device="cuda") / SIZE**0.5
    dense = [matrix.bfloat16() for _ in range(BUFFERS)]
    weights = {8: copies(quantize_int8(matrix)), 4: copies(quantize_int4(matrix))}
    del matrix
    tokens = {M: torch.randn(M, SIZE, device="cuda").bfloat16() for M in sorted({m for _, m in [*ROWS, *OTHERS]})}
    turns = {}
    for M, x in tokens.items():
        turns[16, M] = captured([lambda x=x, i=i: F.linear(x, dense[i % BUFFERS]) for i in range(CALLS)])
    for bits, M in [*ROWS, *OTHERS]:
        check(tokens[M], weights[bits][0])
        turns[bits, M] = captured(
            [lambda x=tokens[M], w=weights[bits], i=i: weight_only_matmul(x, w[i % BUFFERS]) for i in range(CALLS)]
        )
        if tuning and (bits, M) in ROWS:
            tune(tokens[M], weights[bits][0])
    names = {f"{bits} bits, M={M}": turn for (bits, M), turn in turns.items()}
    times = interleaved_times(names, 10 if quick else 40, 3)

    def ratio(bits: int, M: int) -> tuple[float, float, float]:
        median, low, high = ratio_interval(times[f"16 bits, M={M}"], times[f"{bits} bits, M={M}"])
        return round(median, 3), round(low, 3), round(high, 3)

    rows = [Row(name, *ratio(*key), goal) for key, (name, goal) in ROWS.items()]
    details = {
        **{f"int{bits} against cuBLAS bf16, M={M}": ratio(bits, M) for bits, M in OTHERS},
        "microseconds a product": {n: round(1e6 * statistics.median(s) / CALLS, 1) for n, s in times.items()},
        "bytes of a weight": {"bf16": dense[0].nbytes, **{f"int{b}": w[0].size_bytes for b, w in weights.items()}},
    }
    return rows, details


def main() -> None:
    options = arguments(str(__doc__), tune="print the fastest of many tiles")
    if torch.cuda.is_available():
        rows, details = measure(options.quick, options.tune)
    else:
        rows = [missing(name, goal) for name, goal in ROWS.values()]
        details = {"not measured": "no CUDA device here"}
    report("bench_weight_only_matmul", rows, details, options)


if __name__ == "__main__":
    main()
