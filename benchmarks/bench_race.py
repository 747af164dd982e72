"""The race on the landing page: the same text by plain and by speculative decoding, with the time of every token.

Both sample at a temperature, and share the noise: the Gumbel variables that a draw adds to the logits (Gumbel-max; the
largest sum is a sample of the softmax) are fixed for each position. Then both write the same text, token for token.
The decoders take turns. The time of a pass is the median over the repeats; the prompt shown is the one of the median
ratio.
"""

import math
import statistics
import time
from collections.abc import Callable
from itertools import accumulate, pairwise

import torch
from report import Row, arguments, device_name, report, track
from torch import Tensor

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.speculative.acceptance_stats import Round
from nimblelm.inference.speculative.decoder import generate_in_rounds
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.inference.speculative.rounds import speculative_round
from nimblelm.measure.timing import ratio_interval

PROMPT_TOKENS, NEW_TOKENS, DRAFT_LENGTH, TEMPERATURE = 64, 120, 6, 0.7


def gumbel(positions: int, vocab_size: int, seed: int = 0) -> Tensor:
    """Gumbel variables for every position and token; the same for the same seed."""
    uniform = torch.rand(positions, vocab_size, generator=torch.Generator().manual_seed(seed))
    return -torch.log(-torch.log(uniform.clamp_min(1e-20)))


class Perturbed:
    """A model whose greedy choice is a sample at a temperature: every position has its own Gumbel noise."""

    def __init__(
        self, model: Callable[[Tensor, int], Tensor], noise: Tensor, before: Callable[[], None] = lambda: None
    ):
        self.model, self.noise, self.before = model, noise, before

    def __call__(self, tokens: Tensor, position: int) -> Tensor:
        self.before()
        return self.model(tokens, position) / TEMPERATURE + self.noise[position : position + len(tokens)]


class Racers:
    """Both decoders on a prompt; a run gives the text and, for every pass, the seconds and the tokens kept."""

    def __init__(self):
        pair = load_pair()
        self.target, self.draft = CachedModel(pair.target), CachedModel(pair.draft)
        self.vocab_size = pair.target.config.vocab_size

    def noise(self, prompt: Tensor) -> Tensor:
        return gumbel(len(prompt) + NEW_TOKENS, self.vocab_size)

    def plain(self, prompt: Tensor) -> tuple[Tensor, list[float], list[Round]]:
        clock: list[float] = []
        model = Perturbed(self.target, self.noise(prompt), before=lambda: clock.append(time.perf_counter()))
        text = generate(model, prompt, NEW_TOKENS)
        clock.append(time.perf_counter())
        return text, [now - clock[0] for now in clock[1:]], []

    def speculative(self, prompt: Tensor) -> tuple[Tensor, list[float], list[Round]]:
        noise, times = self.noise(prompt), []
        target, draft = Perturbed(self.target, noise), Perturbed(self.draft, noise)

        def next_round(tokens: Tensor, length: int) -> Round:
            made = speculative_round(target, draft, tokens, length)
            times.append(time.perf_counter() - began)
            return made

        began = time.perf_counter()
        output = generate_in_rounds([target, draft], next_round, prompt, NEW_TOKENS, DRAFT_LENGTH, None)
        return output.tokens, times, output.rounds


def race(racers: Racers, prompt: Tensor, repeats: int) -> dict:
    """Both on one prompt in turns: the text, the rounds, when each pass ends by the passes' median times, the ratio."""
    runs: dict[str, list] = {"plain": [], "speculative": []}
    for _ in range(repeats + 1):  # the first finds cold caches
        for name, done in runs.items():
            done.append(getattr(racers, name)(prompt))
    text, rounds = runs["plain"][0][0], runs["speculative"][0][2]
    if not all(torch.equal(text, run[0]) for done in runs.values() for run in done):
        raise RuntimeError("the texts differ")
    times = {name: pass_ends([run[1] for run in done[1:]]) for name, done in runs.items()}
    return {"text": text, "rounds": rounds, "times": times, "ratio": times["plain"][-1] / times["speculative"][-1]}


def pass_ends(runs: list[list[float]]) -> list[float]:
    """When each pass ends if every pass takes its median time."""
    lasted = [[end - begin for begin, end in pairwise([0.0, *ends])] for ends in runs]
    return list(accumulate(statistics.median(times) for times in zip(*lasted, strict=True)))


def recording(found: dict, prompt: Tensor, decode: Callable[[list[int]], str]) -> dict:
    """What the page plays: the tokens, when each pass ended, and how many drafted tokens each round kept."""
    times = {name: [round(1e3 * moment, 1) for moment in moments] for name, moments in found["times"].items()}
    return {
        "prompt": decode(prompt.tolist()),
        "tokens": [decode([token]) for token in found["text"].tolist()],
        "plain_ms": times["plain"],
        "speculative_ms": times["speculative"],
        "kept": [made.num_accepted for made in found["rounds"]],
    }


def main() -> None:
    options = arguments(__doc__ or "")
    racers, tokenizer = Racers(), load_pair_tokenizer()
    texts = held_out_texts()[:3] if options.quick else held_out_texts()
    prompts = [torch.tensor(tokenizer.encode(text.text).ids[:PROMPT_TOKENS]) for text in texts]
    with torch.inference_mode():
        found = [race(racers, prompt, 1 if options.quick else 3) for prompt in track(prompts, "races")]
    plain, speculative = ([one["times"][name][-1] for one in found] for name in ("plain", "speculative"))
    ratio = ratio_interval(plain, speculative)
    row = Row(f"{device_name()} speculative / plain, the same sampled text", *ratio, math.nan)
    shown = sorted(range(len(found)), key=lambda i: found[i]["ratio"])[len(found) // 2]
    details = {
        "prompts": len(prompts), "new tokens a prompt": NEW_TOKENS, "draft length": DRAFT_LENGTH,
        "temperature": TEMPERATURE, "threads": torch.get_num_threads(), "shown": texts[shown].name,
    }  # fmt: skip
    played = recording(found[shown], prompts[shown], tokenizer.decode)
    report("bench_race", [row], details, options, recording=played)


if __name__ == "__main__":
    main()
