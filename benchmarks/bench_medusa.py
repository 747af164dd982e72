"""Medusa heads and a tree against our cached autoregressive loop, and against the draft model on the same prompts.

All alternatives take turns on each held-out prompt; a ratio is a median over prompts with a bootstrap interval.
The tree is chosen from measured costs of a round and from the committed accuracies of the heads.
"""

import statistics

import torch
from bench_speculative import best_length, distinct_share
from report import Row, arguments, report, say, track

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.medusa.decoder import medusa_generate, medusa_round
from nimblelm.inference.medusa.heads import load_heads
from nimblelm.inference.medusa.search import best_tree, expected_tokens, load_accuracies
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.verification import Exact, Typical
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.measure.timing import interleaved_times, ratio_interval
from nimblelm.nn.weight_layout import store_by_column

PROMPT_TOKENS, NEW_TOKENS = 96, 256
SIZES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64)
ROWS = {  # name: (slow, fast, goal)
    "Medusa heads + tree / our autoregressive": ("greedy", "medusa", 1.7),
    "speculative decoding / our autoregressive, same prompts": ("greedy", "speculative", 2.0),
    "Medusa, exact T=1 / our autoregressive T=1": ("sampled", "medusa sampled", 1.0),
    "Medusa, typical acceptance / our autoregressive, not lossless": ("greedy", "medusa typical", 1.0),
}


class Bench:
    """The committed target with its heads and with its draft, on the device that there is."""

    def __init__(self):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        pair, tokenizer = load_pair(), load_pair_tokenizer()
        self.target, self.draft = CachedModel(pair.target.to(device)), CachedModel(pair.draft.to(device))
        self.heads = load_heads().to(device)
        if device.type == "cpu":
            store_by_column(self.heads)
        texts = [torch.tensor(tokenizer.encode(text.text).ids, device=device) for text in held_out_texts()]
        self.prompts, self.device = [text[:PROMPT_TOKENS] for text in texts], device

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)

    def plain(self, prompt, sampling=GREEDY, seed=0):
        return self.settled(generate(self.target, prompt, NEW_TOKENS, sampling, self.generator(seed)))

    def speculative(self, prompt, length):
        return self.settled(speculative_generate(self.target, self.draft, prompt, NEW_TOKENS, length).tokens)

    def medusa(self, prompt, tree, rule, seed=0):
        generator = self.generator(seed)
        output = medusa_generate(self.target, self.heads, tree, prompt, NEW_TOKENS, rule, generator)
        self.settled(output.tokens)
        return output

    def settled(self, tokens):
        """The tokens, when the device has written them."""
        if tokens.is_cuda:
            torch.cuda.synchronize()
        return tokens

    def round_costs(self, repeats: int) -> dict[int | str, float]:
        """Median seconds of a round by the number of its nodes, and of a pass over one token, `plain`."""
        prompt, accuracies = self.prompts[0], load_accuracies()
        hidden = self.target.states(prompt[:-1], 0)[-1]
        trees = {size: best_tree(accuracies, size) for size in SIZES}

        def a_round(tree):
            made, _ = medusa_round(self.target, self.heads, tree, prompt, hidden, Exact())
            self.settled(made.tokens)

        calls = {size: lambda tree=tree: a_round(tree) for size, tree in trees.items()}
        plain = {"plain": lambda: self.settled(self.target(prompt[-1:], len(prompt) - 1))}
        with torch.inference_mode():
            times = interleaved_times({**calls, **plain}, repeats, warmups=3)
        return {name: statistics.median(seconds) for name, seconds in times.items()}


def choose(accuracies: list[list[float]], costs: dict) -> CandidateTree:
    """The tree that promises most tokens a second."""
    return max((best_tree(accuracies, n) for n in SIZES), key=lambda t: expected_tokens(accuracies, t) / costs[len(t)])


def main() -> None:
    options = arguments(str(__doc__))
    say("models")
    bench, sampling = Bench(), Sampling(temperature=1.0)
    prompts = bench.prompts[:4] if options.quick else bench.prompts
    bench.plain(prompts[0])
    say("costs of a round")
    costs = bench.round_costs(repeats=15 if options.quick else 40)
    tree, sampled_tree = (choose(load_accuracies(text), costs) for text in ("greedy", "temperature 1"))
    length = best_length(bench.speculative, prompts[: 2 if options.quick else 4])

    names = {name for slow, fast, _ in ROWS.values() for name in (slow, fast)}
    times: dict[str, list[float]] = {name: [] for name in names}
    outputs: dict[str, list] = {name: [] for name in names}
    equal = {"medusa": 0, "speculative": 0, "medusa typical": 0}
    for seed, prompt in enumerate(track(prompts, "prompts")):
        kept = {}
        turns = {
            "greedy": lambda p=prompt: bench.plain(p),
            "medusa": lambda p=prompt: bench.medusa(p, tree, Exact()),
            "speculative": lambda p=prompt: bench.speculative(p, length),
            "sampled": lambda p=prompt, s=seed: bench.plain(p, sampling, s),
            "medusa sampled": lambda p=prompt, s=seed: bench.medusa(p, sampled_tree, Exact(sampling), s),
            "medusa typical": lambda p=prompt: bench.medusa(p, tree, Typical()),
        }
        timed = {name: lambda n=name, c=call, k=kept: k.__setitem__(n, c()) for name, call in turns.items()}
        for name, seconds in interleaved_times(timed, 1 if options.quick else 2, 0).items():
            times[name].append(statistics.median(seconds))
            outputs[name].append(kept[name])
        for name in equal:
            tokens = kept[name] if name == "speculative" else kept[name].tokens
            equal[name] += torch.equal(tokens, kept["greedy"])

    rows = []
    for name, (slow, fast, goal) in ROWS.items():
        median, low, high = (round(x, 3) for x in ratio_interval(times[slow], times[fast]))
        rows.append(Row(name, median, low, high, goal))

    def tokens_a_pass(name):
        return round(sum(NEW_TOKENS for _ in outputs[name]) / sum(len(o.rounds) + 1 for o in outputs[name]), 2)

    details = {
        "prompts": len(prompts),
        "new tokens a prompt": NEW_TOKENS,
        "threads": torch.get_num_threads(),
        "nodes of the tree (greedy, T=1)": [len(tree), len(sampled_tree)],
        "choices of the greedy tree": [list(name) for name in tree.choices],
        "draft length of speculative decoding": length,
        "round over plain pass, by nodes": {n: round(costs[n] / costs["plain"], 2) for n in SIZES},
        "tokens a pass, expected": round(expected_tokens(load_accuracies(), tree), 2),
        "tokens a pass (medusa, T=1, typical)": [
            tokens_a_pass(name) for name in ("medusa", "medusa sampled", "medusa typical")
        ],
        "texts equal to greedy decoding": equal,
        "distinct 4-grams (greedy, typical)": [
            round(distinct_share(outputs["greedy"]), 3),
            round(distinct_share([o.tokens for o in outputs["medusa typical"]]), 3),
        ],
        "autoregressive tokens a second": round(NEW_TOKENS / statistics.median(times["greedy"]), 1),
    }
    report("bench_medusa", rows, details, options)
    if not torch.cuda.is_available() and equal["medusa"] < len(prompts):
        raise SystemExit(f"{len(prompts) - equal['medusa']} of {len(prompts)} greedy texts differ from plain decoding")


if __name__ == "__main__":
    main()
