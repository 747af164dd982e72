"""Speculative decoding with the committed pair: against our cached autoregressive loop and against transformers.

All alternatives take turns on each held-out prompt; a ratio is a median over prompts with a bootstrap interval.
"""

import math
import statistics

import torch
import torch.nn.functional as F
from assisted import Assisted
from report import Row, arguments, report, say, track

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.inference.speculative.speedup import predicted_speedup
from nimblelm.measure.timing import interleaved_times, ratio_interval

PROMPT_TOKENS, NEW_TOKENS = 96, 256
LENGTHS = (2, 3, 4, 5, 6, 8, 11, 15)
GOALS = {"greedy": 2.0, "T=1": 1.6, "transformers": 2.2}


class Bench:
    """Both models, loaded once in our code and once in transformers."""

    def __init__(self):
        pair = load_pair()
        self.pair = pair
        self.target, self.draft = CachedModel(pair.target), CachedModel(pair.draft)
        self.theirs = Assisted(pair)
        tokenizer = load_pair_tokenizer()
        self.texts = [torch.tensor(tokenizer.encode(text.text).ids) for text in held_out_texts()]
        self.prompts = [text[:PROMPT_TOKENS] for text in self.texts]

    def autoregressive(self, prompt, sampling=GREEDY, seed=0):
        return generate(self.target, prompt, NEW_TOKENS, sampling, torch.Generator().manual_seed(seed))

    def assisted(self, prompt, length):
        return self.theirs.generate(prompt, NEW_TOKENS, length)

    def speculative(self, prompt, length, sampling=GREEDY, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return speculative_generate(self.target, self.draft, prompt, NEW_TOKENS, length, sampling, generator)

    def held_out_loss(self) -> float:
        """Nats a token over the committed held-out texts."""
        losses = []
        with torch.inference_mode():
            for text in self.texts:
                tokens = text[: self.pair.target.config.max_seq_len]
                losses.append(F.cross_entropy(self.pair.target(tokens[None, :-1])[0], tokens[1:]))
        return torch.stack(losses).mean().item()

    def step_costs(self, length: int) -> tuple[float, float]:
        """Median time of a draft step, in runs as in a round, and of a check, each over a target step."""
        block = self.prompts[0][: length + 1]
        with torch.inference_mode():
            times = interleaved_times(
                {
                    "target": lambda: self.target(block[:1], 150),
                    "check": lambda: self.target(block, 150),
                    "draft": lambda: [self.draft(block[:1], 150) for _ in range(length)],  # the first finds cold caches
                },
                repeats=60,
                warmups=5,
            )
        step, check, draft = (statistics.median(times[name]) for name in ("target", "check", "draft"))
        return draft / length / step, check / step


def best_length(decode, prompts, what: str = "draft lengths tried on prompts") -> int:
    """The draft length that decodes the prompts in the least time; all lengths take turns."""
    seconds: dict[int, float] = dict.fromkeys(LENGTHS, 0.0)
    for prompt in track(prompts, what):
        turns = {length: lambda p=prompt, n=length: decode(p, n) for length in LENGTHS}
        for length, times in interleaved_times(turns, repeats=2, warmups=0).items():
            seconds[length] += min(times)
    return min(LENGTHS, key=seconds.__getitem__)


def distinct_share(outputs: list[torch.Tensor], size: int = 4) -> float:
    """Distinct n-grams over all n-grams: low where a model loops."""
    grams = [tuple(window.tolist()) for tokens in outputs for window in tokens.unfold(0, size, 1)]
    return len(set(grams)) / len(grams)


def main() -> None:
    options = arguments(str(__doc__))
    say("models")
    bench, sampling = Bench(), Sampling(temperature=1.0)
    prompts = bench.prompts[:4] if options.quick else bench.prompts
    bench.autoregressive(prompts[0])
    trial = prompts[: 2 if options.quick else 4]
    greedy_length = best_length(bench.speculative, trial)
    sampled_length = best_length(
        lambda prompt, length: bench.speculative(prompt, length, sampling), trial, "the same at T=1"
    )
    their_length = best_length(bench.assisted, trial, "the same for transformers")

    times = {name: [] for name in ("greedy", "speculative", "sampled", "speculative sampled", "assisted")}
    rounds, sampled_rounds, greedy_texts, sampled_texts, equal, their_equal = [], [], [], [], 0, 0
    for seed, prompt in enumerate(track(prompts, "prompts")):
        kept = {}

        def timed(name, call, kept=kept):
            return lambda: kept.__setitem__(name, call())

        turns = {
            "greedy": lambda p=prompt: bench.autoregressive(p),
            "speculative": lambda p=prompt: bench.speculative(p, greedy_length),
            "sampled": lambda p=prompt, s=seed: bench.autoregressive(p, sampling, s),
            "speculative sampled": lambda p=prompt, s=seed: bench.speculative(p, sampled_length, sampling, s),
            "assisted": lambda p=prompt: bench.assisted(p, their_length),
        }
        measured = interleaved_times({n: timed(n, call) for n, call in turns.items()}, 1 if options.quick else 2, 0)
        for name, seconds in measured.items():
            times[name].append(statistics.median(seconds))
        equal += torch.equal(kept["greedy"], kept["speculative"].tokens)
        their_equal += torch.equal(kept["greedy"], kept["assisted"])
        rounds += kept["speculative"].rounds
        sampled_rounds += kept["speculative sampled"].rounds
        greedy_texts.append(kept["greedy"])
        sampled_texts.append(kept["speculative sampled"].tokens)

    say("losses and costs of a step")

    def row(name, slow, fast, goal):
        median, low, high = (round(x, 3) for x in ratio_interval(times[slow], times[fast]))
        return Row(name, median, low, high, goal)

    rows = [
        row("cpu speculative / autoregressive", "greedy", "speculative", GOALS["greedy"]),
        row("cpu speculative / autoregressive T=1", "sampled", "speculative sampled", GOALS["T=1"]),
        row("cpu speculative / transformers assisted", "assisted", "speculative", GOALS["transformers"]),
    ]
    details = {
        "prompts": len(prompts),
        "new tokens a prompt": NEW_TOKENS,
        "threads": torch.get_num_threads(),
        "draft length (greedy, T=1, transformers)": [greedy_length, sampled_length, their_length],
        "greedy texts equal to autoregressive (ours, transformers)": [equal, their_equal],
        "held-out loss, nats a token": round(bench.held_out_loss(), 3),
        "distinct 4-grams (greedy, T=1)": [round(distinct_share(t), 3) for t in (greedy_texts, sampled_texts)],
        "autoregressive tokens a second": round(NEW_TOKENS / statistics.median(times["greedy"]), 1),
    }
    for name, some, length, measured in (
        ("greedy", rounds, greedy_length, rows[0].ratio),
        ("T=1", sampled_rounds, sampled_length, rows[1].ratio),
    ):
        stats = AcceptanceStats.from_rounds(some)
        draft_cost, check_cost = bench.step_costs(length)
        predicted = predicted_speedup(stats.acceptance_rate, length, draft_cost, check_cost)
        details[f"{name}: acceptance rate a"] = round(stats.acceptance_rate, 3)
        details[f"{name}: kept by position"] = [round(share, 3) for share in stats.per_position]
        details[f"{name}: TAR, tokens a round"] = [
            round(stats.token_acceptance_rate, 2),
            round(stats.tokens_per_round, 2),
        ]
        details[f"{name}: draft step, check over target step"] = [round(draft_cost, 3), round(check_cost, 3)]
        details[f"{name}: predicted speedup, measured over predicted"] = [
            round(predicted, 2),
            round(measured / predicted, 2),
        ]
    assert all(math.isfinite(r.ratio) for r in rows)
    report("bench_speculative", rows, details, options)
    if equal < len(prompts):
        raise SystemExit(f"{len(prompts) - equal} of {len(prompts)} greedy texts differ from autoregressive decoding")


if __name__ == "__main__":
    main()
