"""Prompt lookup, which drafts by copying, against our cached autoregressive loop, on the CPU.

Both take turns on each held-out prompt; a ratio is a median over prompts with a bootstrap interval.
"""

import math
import os
from functools import partial

import torch
from report import Row, arguments, report, track

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.inference.speculative.prompt_lookup import prompt_lookup_generate
from nimblelm.measure.timing import interleaved_times, ratio_interval

PROMPT_TOKENS, NEW_TOKENS, DRAFT_LENGTH = 96, 64, 8
SETTINGS = {"greedy": GREEDY, "T=1": Sampling(temperature=1.0)}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def copied(target: CachedModel, prompt: torch.Tensor, sampling: Sampling, rng: torch.Generator, outputs: list) -> None:
    outputs.append(prompt_lookup_generate(target, prompt, NEW_TOKENS, DRAFT_LENGTH, sampling, rng))


def main() -> None:
    options = arguments(str(__doc__))
    target, tokenizer = CachedModel(load_pair().target), load_pair_tokenizer()
    prompts = [torch.tensor(tokenizer.encode(text.text).ids[:PROMPT_TOKENS]) for text in held_out_texts()]
    prompts = prompts[: 3 if options.quick else 12]
    generate(target, prompts[0], 8)
    rows, details = (
        [],
        {
            "prompts": len(prompts),
            "threads": torch.get_num_threads(),
            "load average when it began": round(os.getloadavg()[0], 1),
            "draft length": DRAFT_LENGTH,
        },
    )
    for name, sampling in SETTINGS.items():
        plain, lookup, passes = [], [], 0
        for seed, prompt in enumerate(track(prompts, name)):
            outputs = []
            turns = {
                "plain": partial(generate, target, prompt, NEW_TOKENS, sampling, generator(seed)),
                "lookup": partial(copied, target, prompt, sampling, generator(seed), outputs),
            }
            times = interleaved_times(turns, repeats=1, warmups=0)
            plain += times["plain"]
            lookup += times["lookup"]
            passes += sum(len(output.rounds) for output in outputs)
        ratio, low, high = (round(x, 3) for x in ratio_interval(plain, lookup))
        rows.append(Row(f"prompt lookup / autoregressive, {name}", ratio, low, high, math.nan))
        details[f"tokens a pass, {name}"] = round(NEW_TOKENS * len(prompts) / passes, 2)
    report("bench_prompt_lookup", rows, details, options)


if __name__ == "__main__":
    main()
