"""The ledger of compression, distilled: chapter 2's committed draft as a model of its own, plain and in fewer bits.

Points as those of bench_compression: bytes, loss on the same held-out texts, speed over fp32 decoding in the same run.
The thin BERT and its student read the same definitions one by one, as in DistilBERT's table 3. Times are processor
seconds of one thread, in turns.
"""

import copy
import time
from typing import Any

import torch
from bench_compression import GROUP, TEXT_TOKENS, TEXTS, losses, point
from report import Row, arguments, report, track
from torch import Tensor

from nimblelm.compression.adapted import ADAPTER_FOLDER
from nimblelm.compression.distillation.dictionary_bert import load_dictionary_pair, load_dictionary_tokenizer, padded
from nimblelm.compression.quantization.absmax import quantize_absmax
from nimblelm.compression.quantization.packed import int4_linear, int8_linear, packed_for_decoding
from nimblelm.compression.quantization.simulated import simulate
from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.language.llama import Llama
from nimblelm.measure.timing import ratio_interval

PROMPT_TOKENS, NEW_TOKENS, PROMPTS = 24, 48, 6
DEFINITIONS = 120
ROWS = {  # name: (slow, fast, goal)
    "cpu distilled / our fp32 decoder": ("fp32", "distilled", 2.5),
    "cpu distilled and int8 / our fp32 decoder": ("fp32", "distilled, int8", 2.5),
    "cpu student of six layers / its teacher of twelve": ("teacher", "student", 1.5),
}


def ledger_of(target: Llama, draft: Llama, texts: list[Tensor]) -> dict[str, dict]:
    """Every point without its speed; int8 rounds each row, int4 runs as it decodes."""
    reference = losses(lambda text: target(text[None])[0], texts)
    found = {"fp32": point(reference, reference, 4 * sum(w.numel() for w in target.parameters()))}
    plain = losses(lambda text: draft(text[None])[0], texts)
    found["distilled"] = point(plain, reference, 4 * sum(w.numel() for w in draft.parameters()))
    rounded = simulate(draft, lambda _, weight: quantize_absmax(weight, 8, "channel"))
    eight = losses(lambda text: rounded.model(text[None])[0], texts)
    found["distilled, int8"] = point(eight, reference, rounded.size_bytes)
    packed = CachedModel(packed_for_decoding(copy.deepcopy(draft), lambda w: int4_linear(w, GROUP)))
    size = simulate(draft, lambda _, w: quantize_absmax(w, 4, GROUP)).size_bytes
    found["distilled, int4"] = point(losses(lambda text: packed(text, 0), texts), reference, size)
    return found


@torch.inference_mode()
def decoding_seconds(target: Llama, draft: Llama, prompts: list[Tensor]) -> dict[str, list[float]]:
    """Processor seconds for the new tokens after each prompt, in turns."""
    ways = {
        "fp32": CachedModel(copy.deepcopy(target)),
        "distilled": CachedModel(copy.deepcopy(draft)),
        "distilled, int8": CachedModel(packed_for_decoding(copy.deepcopy(draft), int8_linear)),
        "distilled, int4": CachedModel(packed_for_decoding(copy.deepcopy(draft), lambda w: int4_linear(w, GROUP))),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for prompt in track(prompts, "decoding in turns"):
        for name, decoder in ways.items():
            began = time.process_time()
            generate(decoder, prompt, NEW_TOKENS)
            seconds[name].append(time.process_time() - began)
    return seconds


@torch.inference_mode()
def reading_seconds(count: int) -> dict[str, list[float]]:
    """Processor seconds of teacher and student for each definition alone, in turns; the first ones warm up."""
    tokenizer, models = load_dictionary_tokenizer(), load_dictionary_pair()._asdict()
    lines = (ADAPTER_FOLDER / "definitions.txt").read_text().splitlines()[: count + 5]
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for line in track(lines, "definitions in turns"):
        tokens = padded([tokenizer.encode(line).ids])
        for name, model in models.items():
            began = time.process_time()
            model(tokens)
            seconds[name].append(time.process_time() - began)
    return {name: spent[5:] for name, spent in seconds.items()}


def main() -> None:
    options = arguments(str(__doc__))
    torch.set_num_threads(1)
    pair, tokenizer = load_pair(), load_pair_tokenizer()
    texts = [torch.tensor(tokenizer.encode(text.text).ids[:TEXT_TOKENS]) for text in held_out_texts()]
    texts = texts[:3] if options.quick else texts[:TEXTS]
    ledger = ledger_of(pair.target, pair.draft, texts)
    prompts = [text[:PROMPT_TOKENS] for text in texts[:PROMPTS]]
    decoding = decoding_seconds(pair.target, pair.draft, prompts)
    reading = reading_seconds(10 if options.quick else DEFINITIONS)
    rows, seconds = [], decoding | reading
    for name, (slow, fast, goal) in ROWS.items():
        median, low, high = (round(x, 3) for x in ratio_interval(seconds[slow], seconds[fast]))
        rows.append(Row(name, median, low, high, goal))
    gains = {name: round(ratio_interval(seconds["fp32"], spent)[0], 3) for name, spent in decoding.items()}
    details: dict[str, Any] = {
        "clock": "processor seconds of one thread",
        "threads": torch.get_num_threads(),
        "texts, tokens of each": [len(texts), TEXT_TOKENS],
        "prompts, new tokens": [len(prompts), NEW_TOKENS],
        "ledger": ledger,
        "speed over fp32": gains,
        "seconds a definition": {name: sum(spent) / len(spent) for name, spent in reading.items()},
    }
    report("bench_distillation", rows, details, options)


if __name__ == "__main__":
    main()
