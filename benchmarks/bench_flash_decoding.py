"""Flash decoding: the rate at which it reads the cache, as a share of what a copy moves in the same run.

python benchmarks/bench_flash_decoding.py [--quick] [--json] [--save] [--tune]
"""

import itertools
import statistics

import torch
from captured import captured
from report import Row, arguments, missing, report

from nimblelm.kernels.flash_decoding import flash_decoding, reference
from nimblelm.measure.timing import interleaved_times, ratio_interval

ROW, GOAL = "flash decoding, KV over 256 MB, share of copy bandwidth", 0.70
BATCH, MAX_SEQ_LEN, NUM_HEADS, NUM_KV_HEADS, HEAD_DIM = 8, 16_384, 32, 8, 128
CALLS, CACHES = 8, 2


def make_cache(device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values in bf16, 0.5 GB together."""
    shape = (BATCH, MAX_SEQ_LEN, NUM_KV_HEADS, HEAD_DIM)
    return torch.randn(shape, device=device).bfloat16(), torch.randn(shape, device=device).bfloat16()


def check(q, keys, values, lengths) -> None:
    """Accuracy before speed, on two sequences in float64."""
    out = flash_decoding(q, keys, values, lengths)[:2].double()
    exact = reference.flash_decoding(q[:2].double(), keys[:2].double(), values[:2].double(), lengths[:2])
    error = ((out - exact).square().mean() / exact.square().mean()).sqrt().item()
    assert error <= 0.01, f"relative error {error} against float64"


def tune(q, keys, values, lengths) -> None:
    """Seconds a call of other tiles and splits, least first."""
    from nimblelm.kernels.flash_decoding import launch as kernels

    shipped = kernels.choose_tile(q.shape[1] * NUM_HEADS // NUM_KV_HEADS, HEAD_DIM, q.dtype)
    turns = {}
    for block_n, warps, stages, rows in itertools.product((32, 64, 128), (4, 8), (2, 3, 4), (256, 512, 1024)):
        tile = shipped._replace(block_n=block_n, num_warps=warps, num_stages=stages)
        if stages * block_n * HEAD_DIM * 4 <= 200_000:
            turns[tile, rows] = captured(
                [lambda t=tile, r=rows: kernels.flash_decoding(q, keys, values, lengths, tile=t, rows=r)]
            )
    times = {key: statistics.median(seconds) for key, seconds in interleaved_times(turns, 10).items()}
    for (tile, rows), seconds in sorted(times.items(), key=lambda item: item[1])[:10]:
        print(f"{1e6 * seconds:7.1f} us  {rows} rows a split  {tile}")


def measure(quick: bool, tuning: bool) -> tuple[list[Row], dict]:
    torch.manual_seed(0)
    repeats = 10 if quick else 40
    caches = [make_cache("cuda") for _ in range(CACHES)]
    full = torch.full((BATCH,), MAX_SEQ_LEN, device="cuda", dtype=torch.int32)
    cache_bytes = sum(part.nbytes for part in caches[0])
    source = torch.cat([keys.flatten() for keys, _ in caches])
    target = torch.empty_like(source)
    turns = {"copy": captured([lambda: target.copy_(source)] * (CALLS // CACHES))}
    blocks = (1, 4, 8)  # tokens: one, and blocks of drafts
    for T in blocks:
        q = torch.randn(BATCH, T, NUM_HEADS, HEAD_DIM, device="cuda").bfloat16()
        check(q, *caches[0], full)
        turns[f"T={T}"] = captured(
            [lambda q=q, i=i: flash_decoding(q, *caches[i % CACHES], full) for i in range(CALLS)]
        )
        if tuning and T in (1, 8):
            tune(q, *caches[0], full)
    half = full // 2
    turns["half"] = captured([lambda q=q, i=i: flash_decoding(q, *caches[i % CACHES], half) for i in range(CALLS)])
    times = interleaved_times(turns, repeats, 3)
    copied = [s / (CALLS // CACHES * 2 * source.nbytes) for s in times["copy"]]  # seconds a byte, read and written

    def share(name: str, size_bytes: float) -> tuple[float, float, float]:
        median, low, high = ratio_interval(copied, [s / (CALLS * size_bytes) for s in times[name]])
        return round(median, 3), round(low, 3), round(high, 3)

    rows = [Row(ROW, *share("T=1", cache_bytes), GOAL)]
    details = {
        "cache": f"{cache_bytes / 1e6:.0f} MB: batch {BATCH}, {MAX_SEQ_LEN} rows, {NUM_KV_HEADS} heads of {HEAD_DIM}",
        "copy, TB/s": round(1e-12 / statistics.median(copied), 2),
        **{f"share, {T} tokens and {NUM_HEADS} heads": share(f"T={T}", cache_bytes) for T in blocks[1:]},
        "share, 8 tokens, half of the rows valid": share("half", cache_bytes / 2),
    }
    return rows, details


def main() -> None:
    options = arguments(str(__doc__), tune="print the fastest of many configurations")
    if torch.cuda.is_available():
        rows, details = measure(options.quick, options.tune)
    else:
        rows, details = [missing(ROW, GOAL)], {"not measured": "no CUDA device here"}
    report("bench_flash_decoding", rows, details, options)


if __name__ == "__main__":
    main()
