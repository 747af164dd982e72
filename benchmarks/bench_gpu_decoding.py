"""The decoders that keep all state on the device: speculative against autoregressive, both one CUDA graph a round.

python benchmarks/bench_gpu_decoding.py [--large] [--quick] [--json] [--save]

The baseline has the same kernels, state and loop. Times are of whole generations, prompts included. On a CPU the same
code runs without graphs, and answers what a CPU can: whether a batch gains whose texts keep different numbers of
drafts.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE")  # threads that stay awake between small products

import copy
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from assisted import Assisted
from captured import captured
from report import ROOT, Row, arguments, missing, report, track

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.batched.autoregressive import AutoregressiveDecoder
from nimblelm.inference.batched.decoder import BatchOutput
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.speculative import SpeculativeDecoder
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.divergence import first_divergence
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats
from nimblelm.inference.speculative.adaptive_length import AdaptiveLength
from nimblelm.inference.speculative.pair import Pair, load_pair, load_pair_tokenizer
from nimblelm.inference.speculative.speedup import predicted_speedup
from nimblelm.language.llama import Llama
from nimblelm.measure.timing import interleaved_times, ratio_interval
from nimblelm.nn.checkpoint import load

LARGE_PAIR = ROOT / "_build" / "training" / "large_pair"
PROMPT_TOKENS, BATCH = 96, 8
STARTS = range(0, 600, 150)  # where in a held-out text prompts begin
GOALS = {
    "H200 speculative / our own CUDA-graphed autoregressive decoder, greedy": 2.2,
    "same, sampling at T=1": 1.7,
    "measured / theory from measured acceptance and costs": 0.92,
    "against transformers' assisted generation, same weights, its best K": 8.0,
    "batch 8, per-row acceptance / batched autoregressive": 1.3,
    "greedy sequences identical to autoregressive, bf16": 0.99,
}
GREEDY_ROW, SAMPLED_ROW, THEORY_ROW, ASSISTED_ROW, BATCH_ROW, IDENTICAL_ROW = GOALS
Batch = list[torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """How much is measured: new tokens a text, draft lengths, batches to choose a length by and to measure on."""

    count: int
    lengths: Sequence[int]
    trials: int
    batches: int
    repeats: int

    @classmethod
    def of(cls, device: str, quick: bool) -> "Plan":
        lengths = range(1, 9) if device == "cuda" else (1, 2, 3, 4)
        return cls(32, lengths, 1, 2, 1) if quick else cls(256 if device == "cuda" else 96, lengths, 3, 20, 3)


class Decoders:
    """Both decoders for one batch size and one distribution."""

    def __init__(self, pair: Pair, batch_size: int, sampling: Sampling, plan: Plan):
        rows = PROMPT_TOKENS + plan.count + max(plan.lengths)
        self.target, self.draft = (StaticModel(model, batch_size, rows) for model in pair)
        self.sampler = DeviceSampler(sampling, torch.Generator(self.target.device).manual_seed(0))
        self.plain = AutoregressiveDecoder(StaticModel(pair.target, batch_size, rows), self.sampler)
        self.fast = SpeculativeDecoder(self.target, self.draft, self.sampler, [0, *plan.lengths])

    def autoregressive(self, prompts: Batch, count: int) -> BatchOutput:
        return finished(self.plain.generate(prompts, count))

    def speculative(self, prompts: Batch, count: int, length: int | AdaptiveLength) -> BatchOutput:
        return finished(self.fast.generate(prompts, count, length))

    @torch.inference_mode()
    def part_costs(self, length: int) -> tuple[float, float]:
        """Time of a draft step, in runs as in a round, and of a check, each over a target step.

        A step reads a token and draws the next, a check reads length + 1 tokens and makes their distributions.
        """
        block = torch.zeros(self.target.batch_size, length + 1, dtype=torch.int64, device=self.target.device)
        position = torch.full_like(block[:, 0], PROMPT_TOKENS)

        def step(model):
            self.sampler.draw(self.sampler.probabilities(model(block[:, :1], position)[:, -1]))

        parts = {
            "target": [lambda: step(self.target)] * length,
            "draft": [lambda: step(self.draft)] * length,
            "check": [lambda: self.sampler.probabilities(self.target(block, position))] * length,
        }
        turns = {name: captured(calls) for name, calls in parts.items()}
        seconds = {name: statistics.median(times) for name, times in interleaved_times(turns, 20, 3).items()}
        return seconds["draft"] / seconds["target"], seconds["check"] / seconds["target"]


def finished(output: BatchOutput) -> BatchOutput:
    """The output, when the device is done as well with the round that ran ahead."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return output


def fastest(lengths: Sequence[int], decode: Callable[[int], object]) -> int:
    """The draft length with which decoding takes the least time."""
    seconds = interleaved_times({str(g): lambda g=g: decode(g) for g in lengths}, 2, 1)
    return min(lengths, key=lambda g: min(seconds[str(g)]))


def prompts_of(texts: list[torch.Tensor]) -> list[torch.Tensor]:
    prompts = [text[start : start + PROMPT_TOKENS] for start in STARTS for text in texts]
    return [prompt for prompt in prompts if len(prompt) == PROMPT_TOKENS]


def compare(name: str, decoders: Decoders, batches: list[Batch], plan: Plan) -> tuple[Row, int, AcceptanceStats, dict]:
    """Autoregressive over speculative time at the best draft length: the row, the length, acceptance and details."""
    trial, rest, count = batches[: plan.trials], batches[plan.trials : plan.trials + plan.batches], plan.count
    length = fastest(plan.lengths, lambda g: [decoders.speculative(batch, count, g) for batch in trial])
    chooser = AdaptiveLength(decoders.fast.round_costs(PROMPT_TOKENS + count // 2, repeats=5 * plan.repeats))
    times, outputs = {"autoregressive": [], "speculative": [], "adaptive": []}, []
    for batch in track(rest, name):
        turns = {
            "autoregressive": lambda b=batch: decoders.autoregressive(b, count),
            "speculative": lambda b=batch: outputs.append(decoders.speculative(b, count, length)),
            "adaptive": lambda b=batch: decoders.speculative(b, count, chooser),
        }
        for turn, seconds in interleaved_times(turns, plan.repeats, 0).items():
            times[turn].append(statistics.median(seconds))
    texts = len(rest[0])
    stats = AcceptanceStats.from_rounds([r for output in outputs for text in range(texts) for r in output.rounds(text)])
    details = {
        "draft length": length,
        "acceptance rate a, tokens a round": [round(stats.acceptance_rate, 3), round(stats.tokens_per_round, 2)],
        "kept by position": [round(share, 3) for share in stats.per_position],
        "autoregressive, tokens a second": round(texts * count / statistics.median(times["autoregressive"]), 1),
        "ratio with adaptive draft length": rounded(ratio_interval(times["autoregressive"], times["adaptive"])),
        "milliseconds a round, by draft length": {g: round(1e3 * s, 4) for g, s in chooser.round_costs.items()},
    }
    row = row_of(name, *ratio_interval(times["autoregressive"], times["speculative"]))
    return row, length, stats, {f"{name}: {what}": value for what, value in details.items()}


def row_of(name: str, ratio: float, low: float, high: float) -> Row:
    return Row(name, round(ratio, 3), round(low, 3), round(high, 3), GOALS[name])


def rounded(numbers: Sequence[float]) -> list[float]:
    return [round(number, 3) for number in numbers]


def theory(measured: Row, stats: AcceptanceStats, length: int, decoders: Decoders) -> tuple[Row, dict]:
    """The measured speedup over what acceptance and the costs of the parts predict."""
    draft_cost, check_cost = decoders.part_costs(length)
    predicted = predicted_speedup(stats.acceptance_rate, length, draft_cost, check_cost)
    details = {
        "draft step, check over target step": rounded([draft_cost, check_cost]),
        "predicted speedup": round(predicted, 3),
    }
    return row_of(THEORY_ROW, measured.ratio / predicted, measured.low / predicted, measured.high / predicted), details


def against_transformers(pair: Pair, decoders: Decoders, length: int, batches: list[Batch], plan: Plan) -> Row:
    """Time of assisted generation at its best draft length over ours, on a few prompts: it is slow."""
    assisted, device = Assisted(pair), decoders.target.device
    prompts = [batch[0].to(device) for batch in batches[:4]]
    their_length = fastest((2, 3, 5, 8), lambda g: assisted.generate(prompts[0], plan.count, g))
    turns = {
        "theirs": lambda: [assisted.generate(prompt, plan.count, their_length) for prompt in prompts[1:4]],
        "ours": lambda: [decoders.speculative([prompt], plan.count, length) for prompt in prompts[1:4]],
    }
    times = interleaved_times(turns, 1 if plan.repeats == 1 else 5, 1)
    return row_of(ASSISTED_ROW, *ratio_interval(times["theirs"], times["ours"]))


def identical(pair: Pair, decoders: Decoders, length: int, batches: list[Batch], plan: Plan) -> tuple[Row, dict]:
    """Share of texts that are the autoregressive decoder's to the last token, and the margin rule for the others."""
    exact, equal, outside = copy.deepcopy(pair.target).float(), [], []
    for batch in track(batches, IDENTICAL_ROW):
        plain = decoders.autoregressive(batch, plan.count).tokens
        fast = decoders.speculative(batch, plan.count, length).tokens
        for prompt, text, other in zip(batch, plain, fast, strict=True):
            found = first_divergence(pair.target, exact, prompt.to(decoders.target.device), text, other)
            equal.append(1.0 if found is None else 0.0)
            outside += [] if found is None or found.within_noise else [found]
    share, spread = statistics.mean(equal), 1.96 * (statistics.pvariance(equal) / len(equal)) ** 0.5
    row = row_of(IDENTICAL_ROW, share, share - spread, min(share + spread, 1.0))
    return row, {"texts compared, partings outside bf16 noise": [len(equal), [tuple(p) for p in outside]]}


def held_out_loss(pair: Pair, texts: list[torch.Tensor]) -> float:
    """Nats a token over the committed held-out texts."""
    device, limit = pair.target.embedding.weight.device, pair.target.config.max_seq_len
    with torch.inference_mode():
        losses = [
            F.cross_entropy(pair.target(t[None, :limit][:, :-1])[0].float(), t[1:limit])
            for t in (text.to(device) for text in texts)
        ]
    return round(torch.stack(losses).mean().item(), 3)


def main() -> None:
    options = arguments(str(__doc__), large="the pair that training/train_large_pair.py left")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pair = Pair(*(load(Llama, LARGE_PAIR / f"{n}.safetensors") for n in Pair._fields)) if options.large else load_pair()
    pair = Pair(*(model.to(device, torch.bfloat16 if device == "cuda" else torch.float32) for model in pair))
    tokenizer = load_pair_tokenizer()
    texts = [torch.tensor(tokenizer.encode(text.text).ids) for text in held_out_texts()]
    prompts, plan = prompts_of(texts), Plan.of(device, options.quick)
    singles, eights = [[p] for p in prompts], [prompts[i : i + BATCH] for i in range(0, len(prompts) - BATCH, BATCH)]
    details: dict = {
        "pair": {
            n: f"{sum(p.numel() for p in m.parameters())} parameters, {m.config}" for n, m in pair._asdict().items()
        },
        "prompt tokens, new tokens a text": [PROMPT_TOKENS, plan.count],
        "held-out loss of the target, nats a token": held_out_loss(pair, texts),
    }
    rows = {name: missing(name, goal) for name, goal in GOALS.items()}
    if device == "cuda":
        decoders = Decoders(pair, 1, GREEDY, plan)
        rows[GREEDY_ROW], length, stats, more = compare(GREEDY_ROW, decoders, singles, plan)
        rows[THEORY_ROW], parts = theory(rows[GREEDY_ROW], stats, length, decoders)
        rows[IDENTICAL_ROW], equal = identical(pair, decoders, length, singles, plan)
        rows[ASSISTED_ROW] = against_transformers(pair, decoders, length, singles, plan)
        rows[SAMPLED_ROW], *_, sampled = compare(SAMPLED_ROW, Decoders(pair, 1, Sampling(), plan), singles, plan)
        details |= more | parts | equal | sampled
    rows[BATCH_ROW], *_, more = compare(BATCH_ROW, Decoders(pair, BATCH, GREEDY, plan), eights, plan)
    report("bench_gpu_decoding" + "_large" * options.large, list(rows.values()), details | more, options)


if __name__ == "__main__":
    main()
