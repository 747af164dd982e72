"""The ledger of compression: the committed target in fewer bits, as bytes, held-out loss and tokens a second.

Times are processor seconds of one thread, in turns of a few tokens: another program on the same core does not count.
torchao is measured where it is installed; it is no dependency.
"""

import copy
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from report import ROOT, Row, arguments, missing, report, say, track
from torch import Tensor

from nimblelm.compression.qlora import NF4Linear
from nimblelm.compression.quantization.absmax import Quantized, quantize_absmax, quantize_zero_point, stack_rows
from nimblelm.compression.quantization.nf4 import quantize_nf4
from nimblelm.compression.quantization.packed import (
    BFloat16Linear,
    Int4Linear,
    int4_linear,
    int8_linear,
    packed_for_decoding,
)
from nimblelm.compression.quantization.simulated import Simulated, gptq_model, simulate
from nimblelm.data.corpus import held_out_texts, stdlib_modules
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.language.llama import Llama
from nimblelm.measure.timing import ratio_interval

PROMPT_TOKENS, NEW_TOKENS, DRAFT_LENGTH, PROMPTS = 24, 128, 6, 6
TEXT_TOKENS, TEXTS = 256, 12
CALIBRATION_TOKENS = 192
GROUP, GPTQ_GROUP = 64, 128
RESULTS = ROOT / "benchmarks" / "results" / "cpu"
ROWS = {  # name: (slow, fast, goal)
    "cpu int8 decoding / our fp32 decoder, batch 1": ("fp32", "int8", 1.8),
    "cpu int4 decoding / our fp32 decoder, batch 1": ("fp32", "int4", 2.1),
    "cpu int8 decoding / torchao int8": ("torchao int8", "int8", 1.0),
    "cpu int4 decoding / torchao int4": ("torchao int4", "int4", 1.0),
    "cpu int8 and speculative decoding / fp32 autoregressive, greedy": ("fp32", "int8 speculative", 6.0),
    "cpu int4 and speculative decoding / fp32 autoregressive, greedy": ("fp32", "int4 speculative", 6.0),
    "cpu fp32 speculative decoding / fp32 autoregressive, greedy": ("fp32", "fp32 speculative", 2.0),
    "cpu leaner steps alone / our fp32 decoder, batch 1": ("fp32", "fp32, leaner steps", 1.0),
}


class Plain(torch.nn.Module):
    """A product in float32, to see what the leaner steps give without any quantization."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class Theirs:
    """torchao's layers in our model, which is not fused: its tensors are no matrices that could be."""

    def __init__(self, model: Llama, bits: int):
        from torchao.quantization import Int8WeightOnlyConfig, quantize_  # pyright: ignore[reportMissingImports]

        if bits == 8:
            config: Any = Int8WeightOnlyConfig()
        else:
            from torchao.prototype.quantization.int4 import inference_workflow  # pyright: ignore[reportMissingImports]

            config = inference_workflow.PrototypeInt4WeightOnlyConfig(group_size=GROUP)
        self.model = copy.deepcopy(model).to(torch.bfloat16)
        quantize_(self.model, config, filter_fn=lambda m, name: isinstance(m, torch.nn.Linear) and name != "head")
        self.cache, self.vocab_size = KVCache.allocate(self.model), model.config.vocab_size
        self.max_seq_len = self.cache.max_seq_len

    def __call__(self, tokens: Tensor, position: int) -> Tensor:
        return self.model(tokens[None], self.cache.at(position, len(tokens)))[0].float()


def decoders(target: Llama, gptq4: Iterator[Quantized]) -> dict[str, Callable[[Tensor, int], Tensor]]:
    """Every way to decode, by name; each has weights and a cache of its own."""

    def packed(pack: Callable) -> CachedModel:
        return CachedModel(packed_for_decoding(copy.deepcopy(target), pack))

    found: dict[str, Callable] = {
        "fp32": CachedModel(copy.deepcopy(target)),
        "fp32, leaner steps": packed(Plain),
        "bf16": packed(BFloat16Linear),
        "int8": packed(int8_linear),
        "int4": packed(lambda weight: int4_linear(weight, GROUP)),
        "NF4": packed(lambda weight: NF4Linear(quantize_nf4(weight))),
        "GPTQ 4": packed(lambda weight: Int4Linear(next(gptq4))),
    }
    if find_spec("torchao"):
        for bits in (8, 4):
            try:
                found[f"torchao int{bits}"] = Theirs(target, bits)
                found[f"torchao int{bits}"](torch.tensor([1, 2]), 0)
            except (ImportError, AttributeError, RuntimeError, NotImplementedError, ValueError) as error:
                found.pop(f"torchao int{bits}", None)
                say(f"torchao int{bits}: {error!r}"[:200])
    return found


@torch.inference_mode()
def losses(read: Callable[[Tensor], Tensor], texts: list[Tensor]) -> list[float]:
    """Nats a token of each text; `read` gives logits (T, V) after each of its tokens."""
    return [F.cross_entropy(read(text[:-1]), text[1:]).item() for text in texts]


def interval(values: list[float]) -> list[float]:
    """Mean and its 95 % bootstrap interval over texts."""
    rng = random.Random(0)
    means = sorted(statistics.mean(rng.choices(values, k=len(values))) for _ in range(2000))
    return [round(x, 4) for x in (statistics.mean(values), means[50], means[1949])]


def point(per_text: list[float], reference: list[float], size_bytes: int) -> dict:
    more = interval([a - b for a, b in zip(per_text, reference, strict=True)])
    return {"bytes": size_bytes, "loss": interval(per_text), "more than fp32": more, "tokens a second": None}


def decoding_seconds(ways: dict[str, Any], together: dict[str, Callable], prompts: list[Tensor]) -> dict[str, list]:
    """Processor seconds of one thread for the new tokens after each prompt, in turns.

    NF4 is dequantized for every token: it writes a few tokens, and its time is scaled up.
    """
    seconds: dict[str, list[float]] = {}
    for prompt in track(prompts, "decoding in turns"):
        for name, decode in (*ways.items(), *((f"{n} speculative", call) for n, call in together.items())):
            count = 4 if name == "NF4" else NEW_TOKENS
            call = decode if "speculative" in name else lambda p, m=decode, n=count: generate(m, p, n)
            began = time.process_time()
            call(prompt)
            spent = (time.process_time() - began) * NEW_TOKENS / count
            seconds.setdefault(name, []).append(spent)
    return seconds


def losses_of_all(
    target: Llama, models: dict[str, Simulated], ways: dict[str, Any], texts: list[Tensor]
) -> tuple[dict[str, dict], dict[str, list[float]]]:
    """The ledger without speeds: of each decoder as it decodes, of the other models in float32; and all in float32."""
    weights = sum(p.numel() for p in target.parameters())
    sizes = {name: m.size_bytes for name, m in models.items()} | {"fp32": 4 * weights, "bf16": 2 * weights}
    reference = losses(lambda text: target(text[None])[0], texts)
    simulated = {
        name: losses(lambda text, m=m: m.model(text[None])[0], texts)
        for name, m in track(list(models.items()), "losses")
    }
    decoded = {name: losses(lambda text, m=m: m(text, 0), texts) for name, m in ways.items() if name in sizes}
    ledger = {name: point(values, reference, sizes[name]) for name, values in (simulated | decoded).items()}
    return ledger, {name: interval(values) for name, values in simulated.items()}


def main() -> None:
    options = arguments(str(__doc__), decoding="measure decoding alone, and keep the losses of the saved result")
    torch.set_num_threads(1)
    pair, tokenizer = load_pair(), load_pair_tokenizer()
    target = pair.target
    texts = [torch.tensor(tokenizer.encode(text.text).ids[:TEXT_TOKENS]) for text in held_out_texts()]
    texts = texts[:3] if options.quick else texts[:TEXTS]
    step = 20 if options.quick else 4
    training = [m.text for m in stdlib_modules() if not m.held_out and len(m.text) > 4000][::step]
    encoded = [tokenizer.encode(text[:4000]).ids[:CALIBRATION_TOKENS] for text in training[:16]]
    calibration = torch.tensor(encoded)

    saved = json.loads((RESULTS / "bench_compression.json").read_text())["details"] if options.decoding else None
    say("quantized models")
    grids: dict[str, Callable] = {
        "int8, a tensor": lambda name, w: quantize_absmax(w, 8, "tensor"),
        "int8": lambda name, w: quantize_absmax(w, 8, "channel"),
        "int4, a channel": lambda name, w: quantize_absmax(w, 4, "channel"),
        "int4": lambda name, w: quantize_absmax(w, 4, GROUP),
        "NF4": lambda name, w: quantize_nf4(w),
        "rounded to 4 bits": lambda name, w: quantize_zero_point(w, 4, GPTQ_GROUP),
        "rounded to 3 bits": lambda name, w: quantize_zero_point(w, 3, GPTQ_GROUP),
    }
    models = {} if saved else {name: simulate(target, grid) for name, grid in track(list(grids.items()), "rounding")}
    models |= {
        f"GPTQ {bits}": gptq_model(target, calibration, bits, GPTQ_GROUP) for bits in ((4,) if saved else (4, 3))
    }

    say("decoders")
    ways = decoders(target, in_order_of_packing(models["GPTQ 4"]))
    drafts = {"fp32": CachedModel(copy.deepcopy(pair.draft))}
    small = CachedModel(packed_for_decoding(copy.deepcopy(pair.draft), int8_linear))
    prompts = [text[:PROMPT_TOKENS] for text in texts[:PROMPTS]]
    together = {
        name: lambda p, n=name: speculative_generate(ways[n], drafts.get(n, small), p, NEW_TOKENS, DRAFT_LENGTH).tokens
        for name in ("fp32", "int8", "int4", "GPTQ 4")
    }
    equal = {n: sum(torch.equal(generate(ways[n], p, 32), together[n](p)[:32]) for p in prompts) for n in together}
    seconds = decoding_seconds(ways, together, prompts)

    def rate(name: str) -> float:
        return round(NEW_TOKENS / statistics.median(seconds[name]), 1)

    if saved:
        ledger, float32 = saved["ledger"], saved["the same loss in float32 arithmetic"]
    else:
        ledger, float32 = losses_of_all(target, models, ways, texts)
    for name in ways.keys() & ledger.keys():
        ledger[name]["tokens a second"] = rate(name)
    for name in together:
        draft_bytes = (4 if name == "fp32" else 1) * sum(p.numel() for p in pair.draft.parameters())
        whole = ledger[name]["bytes"] + draft_bytes
        ledger[f"{name}, speculative"] = {
            **ledger[name],
            "bytes": whole,
            "tokens a second": rate(f"{name} speculative"),
        }
    rows = []
    for name, (slow, fast, goal) in ROWS.items():
        if slow in seconds and fast in seconds:
            median, low, high = (round(x, 3) for x in ratio_interval(seconds[slow], seconds[fast]))
            rows.append(Row(name, median, low, high, goal))
        else:
            rows.append(missing(name, goal))
    details = {
        "clock": "processor seconds of one thread",
        "threads": torch.get_num_threads(),
        "texts, tokens of each": [len(texts), TEXT_TOKENS],
        "prompts, new tokens, draft length": [len(prompts), NEW_TOKENS, DRAFT_LENGTH],
        "ledger": ledger,
        "the same loss in float32 arithmetic": float32,
        "speculative texts equal to the same model's greedy ones": equal,
    }
    report("bench_compression", rows, details, options)


def in_order_of_packing(simulated: Simulated) -> Iterator[Quantized]:
    """The grids of the fused matrices, in the order in which `packed_for_decoding` meets them."""
    for block in range(len(simulated.model.blocks)):
        grid = lambda name, block=block: simulated.weights[f"blocks.{block}.{name}"]  # noqa: E731
        yield stack_rows([grid(f"attention.{part}_proj") for part in "qkv"])
        yield from (grid(name) for name in ("attention.out_proj", "mlp.gate_up_proj", "mlp.down_proj"))


if __name__ == "__main__":
    main()
