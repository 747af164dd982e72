"""What one pass and one answer cost on a CPU: prefill and decode, the cache, batches, wide passes, the roofline.

The chapters on decoding and on speculative decoding quote it. What is compared takes turns; a ratio is a median over
the turns with a bootstrap interval. The device is the CPU with torch's threads.
"""

import math
import os
import statistics
from collections.abc import Callable

import torch
from report import Row, arguments, report, say

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.serving.paged_cache import PagedKVCache
from nimblelm.inference.serving.ragged_batch import TokenBlock, ragged_forward
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.measure import roofline
from nimblelm.measure.timing import interleaved_times, ratio_interval

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16)
BATCHES = (1, 8, 32)
PROMPT, CONTEXT = 96, 448


class Bench:
    """The committed pair and one long held-out sequence."""

    def __init__(self, repeats: int):
        self.repeats, pair, tokenizer = repeats, load_pair(), load_pair_tokenizer()
        self.model = pair.target
        self.cached, self.draft = CachedModel(pair.target), CachedModel(pair.draft)
        texts = [torch.tensor(tokenizer.encode(text.text).ids) for text in held_out_texts()]
        self.sequences = [text[:PROMPT] for text in texts]
        self.long = torch.cat(self.sequences)[: CONTEXT + max(WIDTHS) + 1]
        self.rows: list[Row] = []

    def times(self, calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
        with torch.inference_mode():
            return interleaved_times(calls, self.repeats, warmups=3)

    def add(self, row: str, slow: list[float], fast: list[float], factor: float = 1.0) -> None:
        """A row: the ratio of two times, times what they differ in besides."""
        ratio, low, high = (round(factor * x, 3) for x in ratio_interval(slow, fast))
        self.rows.append(Row(row, ratio, low, high, math.nan))

    def phases(self) -> dict:
        """Prefill against decode; both read through the cache."""
        times = self.times({
            "prefill": lambda: self.cached(self.long[:PROMPT], 0),
            "decode": lambda: self.cached(self.long[PROMPT : PROMPT + 1], PROMPT),
            "16 at once": lambda: self.cached(self.long[:16], 64),
            "16 in turn": lambda: [self.cached(self.long[i : i + 1], 64 + i) for i in range(16)],
        })  # fmt: skip
        self.add("tokens a second, prefill / decode", times["decode"], times["prefill"], PROMPT)
        self.add("16 passes over one token / one pass over 16", times["16 in turn"], times["16 at once"])
        ttft, tpot = (statistics.median(times[name]) for name in ("prefill", "decode"))
        return {
            "TTFT, ms": round(1e3 * ttft, 2),
            "TPOT, ms": round(1e3 * tpot, 2),
            "prefill, tokens a second": round(PROMPT / ttft),
            "decode, tokens a second": round(1 / tpot, 1),
            "pass over 96 tokens, over one: ms": [round(1e3 * ttft, 3), round(1e3 * tpot, 3)],
        }

    def cache(self) -> dict:
        """The next token of a sequence of 448, with a cache and without."""
        times = self.times({
            "without": lambda: self.model(self.long[None, :CONTEXT]),
            "with": lambda: self.cached(self.long[CONTEXT : CONTEXT + 1], CONTEXT),
        })  # fmt: skip
        self.add("next token at 448, without a cache / with one", times["without"], times["with"])
        return {
            "next token at 448, ms (without, with a cache)": [
                round(1e3 * statistics.median(times[name]), 2) for name in ("without", "with")
            ]
        }

    def batches(self) -> dict:
        """The next token behind 96: without a cache, with one, and in passes that several sequences share."""
        pool = PagedKVCache(self.model, num_blocks=448, block_size=16)
        for user in range(max(BATCHES)):  # one after the other: a pass over all of them would take gigabytes
            ragged_forward(self.model, [TokenBlock(user, self.sequences[user % 12])], pool)
        steps = {size: [TokenBlock(user, self.long[:1]) for user in range(size)] for size in BATCHES}
        calls: dict[str, Callable[[], object]] = {}
        calls |= {str(n): lambda step=step: ragged_forward(self.model, step, pool) for n, step in steps.items()}
        calls["without"] = lambda: self.model(self.long[None, :PROMPT])
        times = self.times(calls)
        self.add("throughput, batch of 32 / one sequence", times["1"], times["32"], 32)
        self.add("ms a token, batch of 32 / one sequence", times["32"], times["1"])
        self.add("next token behind 96, without a cache / with one", times["without"], times["1"])
        rates = {str(n): n for n in BATCHES} | {"without": 1}
        return {
            "tokens a second behind 96, by batch": {
                name: round(count / statistics.median(times[name]), 1) for name, count in rates.items()
            }
        }

    def widths(self) -> dict:
        """Passes of the target over 1 to 16 tokens, and a step of the draft model, behind 100 rows."""
        calls: dict[str, Callable[[], object]] = {}
        calls |= {str(n): lambda n=n: self.cached(self.long[:n], 100) for n in WIDTHS}
        calls["draft"] = lambda: [self.draft(self.long[:1], 100) for _ in range(4)]  # the first finds cold caches
        times = self.times(calls)
        self.add("six passes over one token / one pass over six", times["1"], times["6"], 6)
        self.add("one pass over six tokens / over one", times["6"], times["1"])
        one = statistics.median(times["1"])
        return {
            "pass over n tokens / over one": {n: round(statistics.median(times[str(n)]) / one, 3) for n in WIDTHS},
            "draft step / target step": round(statistics.median(times["draft"]) / 4 / one, 3),
            "pass over one token, ms": round(1e3 * one, 2),
        }

    def roof(self) -> dict:
        """The machine's two numbers and how near a pass comes: best times, since a roof is what is possible."""
        config = self.model.config
        weights = sum(w.numel() for w in self.model.parameters() if w.ndim == 2)
        shape = roofline.DecoderShape(
            weights, config.num_layers, config.num_heads, config.num_kv_heads, config.head_dim, 4
        )
        peak = max(roofline.matmul_rate(1024, 1024, 1024, repeats=1) for _ in range(2 * self.repeats))
        roof = roofline.Roofline(peak, roofline.copy_bandwidth(2**28, 2 * self.repeats))
        times = self.times({
            "decode": lambda: self.cached(self.long[127:128], 127),
            "prefill": lambda: self.cached(self.long[:128], 0),
        })  # fmt: skip
        works = {
            "decode": roofline.pass_work(shape, 1, 1, 127),
            "prefill": roofline.pass_work(shape, 1, 128, 0),
        }
        return {
            "copy, GB a second": round(1e-9 * roof.bandwidth_bytes, 2),
            "product, GFLOP a second": round(1e-9 * roof.peak_flops, 1),
            "ridge, FLOP per byte": round(roof.ridge, 2),
            "least time by the roofline / best time of a pass": {
                name: round(roof.seconds(work) / min(times[name]), 2) for name, work in works.items()
            },
        }


def main() -> None:
    options = arguments(str(__doc__))
    bench = Bench(repeats=5 if options.quick else 15)
    details: dict = {"threads": torch.get_num_threads(), "load average when it began": round(os.getloadavg()[0], 1)}
    for part in (bench.phases, bench.cache, bench.batches, bench.widths, bench.roof):
        say(str(part.__doc__).splitlines()[0])
        details |= part()
    report("bench_decoding", bench.rows, details, options)


if __name__ == "__main__":
    main()
