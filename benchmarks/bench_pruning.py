"""The ledger of compression, pruned: the committed target with fewer weights, heads, units or layers.

Points as those of bench_compression: bytes, loss on the same held-out texts, speed over fp32 decoding in the same run.
One matrix is measured at each sparsity too. Times are processor seconds of one thread, in turns.
"""

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from bench_compression import CALIBRATION_TOKENS, GROUP, TEXT_TOKENS, TEXTS, losses, point
from report import Row, arguments, report, say, track
from torch import Tensor, nn

from nimblelm.compression.pruning.magnitude import global_masks, kept_of, largest, layer_masks
from nimblelm.compression.pruning.semi_structured import compress_two_of_four, nm_mask
from nimblelm.compression.pruning.sheared import load_sheared
from nimblelm.compression.pruning.shearing import Shape
from nimblelm.compression.pruning.slicing import sliced_model
from nimblelm.compression.pruning.sparse_decoding import SparseLinear, bitmap_bytes
from nimblelm.compression.pruning.structured import importance, most_important
from nimblelm.compression.pruning.wanda import row_masks, wanda_model
from nimblelm.compression.quantization.absmax import quantize_absmax
from nimblelm.compression.quantization.packed import int4_linear, int8_linear, packed_for_decoding
from nimblelm.compression.quantization.simulated import projections, simulate
from nimblelm.data.corpus import held_out_texts, stdlib_modules
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.language.llama import Llama
from nimblelm.measure.timing import ratio_interval

PROMPT_TOKENS, NEW_TOKENS, PROMPTS = 24, 48, 6
SPARSITIES = (0.0, 0.25, 0.5, 0.625, 0.75, 0.875, 0.9375)
SHAPE = (2048, 384)  # of the matrix: gate and up projections of a block
ROWS = {  # name: (slow, fast, goal)
    "cpu magnitude 50 %, sparse decoding / our fp32 decoder": ("fp32", "magnitude 50 %", float("nan")),
    "cpu 2:4, sparse decoding / our fp32 decoder": ("fp32", "Wanda 2:4", float("nan")),
    "cpu magnitude 90 %, sparse decoding / our fp32 decoder": ("fp32", "magnitude 90 %", 1.0),
    "cpu half of the hidden units / our fp32 decoder": ("fp32", "half of the units", 1.3),
    "cpu sheared to a fifth / our fp32 decoder": ("fp32", "sheared", 2.5),
    "cpu sheared and int8 / our fp32 decoder": ("fp32", "sheared, int8", 2.5),
}


def pruned_by(target: Llama, masks: dict[str, Tensor]) -> Llama:
    """The target with zeros where a mask is False."""
    pruned = copy.deepcopy(target)
    with torch.no_grad():
        for name, layer in projections(pruned):
            layer.weight.masked_fill_(~masks[name], 0)
    return pruned


def pruned_models(target: Llama, calibration: Tensor) -> dict[str, Llama]:
    """Every pruned model in float32, by its name in the ledger."""
    weights = {name: layer.weight.detach() for name, layer in projections(target)}
    config = target.config
    full = Shape(config.num_layers, config.num_heads, config.d_ff, config.d_model)
    worth = importance(target, calibration[:16])

    def cut(**smaller: int) -> Llama:
        shape = Shape(**{**vars(full), **smaller})
        return sliced_model(target, most_important(worth, shape, config.num_kv_heads)).requires_grad_(False)

    makers: dict[str, Callable[[], Llama]] = {
        "magnitude 50 %": lambda: pruned_by(target, layer_masks(weights, 0.5)),
        "magnitude 70 %": lambda: pruned_by(target, layer_masks(weights, 0.7)),
        "magnitude 90 %": lambda: pruned_by(target, layer_masks(weights, 0.9)),
        "magnitude 50 %, global": lambda: pruned_by(target, global_masks(weights, 0.5)),
        "magnitude 2:4": lambda: pruned_by(target, {n: nm_mask(w.abs()) for n, w in weights.items()}),
        "Wanda 50 %": lambda: wanda_model(target, calibration, lambda scores: row_masks(scores, 0.5)),
        "Wanda 70 %": lambda: wanda_model(target, calibration, lambda scores: row_masks(scores, 0.7)),
        "Wanda 2:4": lambda: wanda_model(target, calibration, nm_mask),
        "a third of the heads gone": lambda: cut(heads=4),
        "half of the units": lambda: cut(units=512),
        "two layers gone": lambda: cut(layers=10),
        "the sheared shape, cut at once": lambda: cut(layers=6, heads=4, units=448, width=256),
        "sheared": load_sheared,
    }
    return {name: make() for name, make in track(list(makers.items()), "pruned models")}


def model_bytes(name: str, model: Llama) -> int:
    """In float32: 2:4 with two bits for each number's place, other zeros as a bitmap and numbers, dense as it is."""
    total = 4 * sum(weight.numel() for weight in model.parameters())
    if "magnitude" not in name and "Wanda" not in name:
        return total
    for _, layer in projections(model):
        stored = compress_two_of_four(layer.weight).size_bytes if "2:4" in name else bitmap_bytes(layer.weight)
        total += stored - layer.weight.nbytes
    return total


def ledger_of(target: Llama, models: dict[str, Llama], texts: list[Tensor]) -> dict[str, dict]:
    """Every point without its speed, the combinations with fewer bits among them."""
    reference = losses(lambda text: target(text[None])[0], texts)
    found = {"fp32": point(reference, reference, model_bytes("fp32", target))}
    for name, model in track(list(models.items()), "losses"):
        per_text = losses(lambda text, m=model: m(text[None])[0], texts)
        found[name] = point(per_text, reference, model_bytes(name, model))
    for name in ("Wanda 50 %", "sheared"):
        rounded = simulate(models[name], lambda _, weight: quantize_absmax(weight, 8, "channel"))
        size = rounded.size_bytes
        if name != "sheared":  # the numbers that are left in a byte, a bit each for where, a scale a row
            size -= sum(
                w.numel() - bitmap_bytes(w, 1) for w in (layer.weight for _, layer in projections(models[name]))
            )
        found[f"{name}, int8"] = point(losses(lambda t, m=rounded.model: m(t[None])[0], texts), reference, size)
    packed = CachedModel(packed_for_decoding(copy.deepcopy(models["sheared"]), lambda w: int4_linear(w, GROUP)))
    size = simulate(models["sheared"], lambda _, w: quantize_absmax(w, 4, GROUP)).size_bytes
    found["sheared, int4"] = point(losses(lambda text: packed(text, 0), texts), reference, size)
    return found


def decoders(target: Llama, models: dict[str, Llama]) -> dict[str, CachedModel]:
    """The ways that are timed."""

    def packed(name: str, pack: Callable[[Tensor], nn.Module]) -> CachedModel:
        return CachedModel(packed_for_decoding(copy.deepcopy(models[name]), pack))

    dense = ("a third of the heads gone", "half of the units", "two layers gone", "sheared")
    return (
        {"fp32": CachedModel(copy.deepcopy(target))}
        | {name: CachedModel(copy.deepcopy(models[name])) for name in dense}
        | {name: packed(name, SparseLinear) for name in ("magnitude 50 %", "Wanda 2:4", "magnitude 90 %")}
        | {"sheared, int8": packed("sheared", int8_linear)}
        | {"sheared, int4": packed("sheared", lambda w: int4_linear(w, GROUP))}
    )


@torch.inference_mode()
def decoding_seconds(ways: dict[str, CachedModel], prompts: list[Tensor]) -> dict[str, list[float]]:
    """Processor seconds for the new tokens after each prompt, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for prompt in track(prompts, "decoding in turns"):
        for name, decoder in ways.items():
            began = time.process_time()
            generate(decoder, prompt, NEW_TOKENS)
            seconds[name].append(time.process_time() - began)
    return seconds


@torch.inference_mode()
def product_ratios(repeats: int) -> list[dict[str, Any]]:
    """Dense time over sparse and over sliced time of one matrix and one vector, at each sparsity: median of turns."""
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(SHAPE, generator=generator), torch.randn(1, SHAPE[1], generator=generator)

    def linear(weight: Tensor) -> nn.Linear:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight = nn.Parameter(weight, requires_grad=False)
        return layer

    def spent(layer: nn.Module, count: int = 20) -> float:
        began = time.process_time()
        for _ in range(count):
            layer(x)
        return time.process_time() - began

    lines, dense = [], linear(weight)
    for sparsity in track(SPARSITIES, "products"):
        sparse = SparseLinear(weight * largest(weight.abs(), kept_of(weight.numel(), sparsity)))
        sliced = linear(weight[: kept_of(len(weight), sparsity)].clone())
        ways = {"unstructured": sparse, "structured": sliced}
        n = 4 - 4 * sparsity
        if n == int(n):
            ways["n:4"] = SparseLinear(weight * nm_mask(weight.abs(), int(n)))
        turns = [{name: spent(dense) / spent(way) for name, way in ways.items()} for _ in range(repeats)]
        medians = {name: round(statistics.median(turn[name] for turn in turns), 3) for name in ways}
        lines.append({"sparsity": sparsity} | medians)
    return lines


def main() -> None:
    options = arguments(str(__doc__))
    torch.set_num_threads(1)
    target, tokenizer = load_pair().target, load_pair_tokenizer()
    texts = [torch.tensor(tokenizer.encode(text.text).ids[:TEXT_TOKENS]) for text in held_out_texts()]
    texts = texts[:3] if options.quick else texts[:TEXTS]
    training = [m.text for m in stdlib_modules() if not m.held_out and len(m.text) > 4000]
    training = training[:: 20 if options.quick else 4][:16]
    calibration = torch.tensor([tokenizer.encode(text[:4000]).ids[:CALIBRATION_TOKENS] for text in training])
    models = pruned_models(target, calibration)
    say("the ledger")
    ledger = ledger_of(target, models, texts)
    seconds = decoding_seconds(decoders(target, models), [text[:PROMPT_TOKENS] for text in texts[:PROMPTS]])
    for name, spent in seconds.items():
        ledger[name]["tokens a second"] = round(NEW_TOKENS / statistics.median(spent), 1)
    rows = []
    for name, (slow, fast, goal) in ROWS.items():
        median, low, high = (round(x, 3) for x in ratio_interval(seconds[slow], seconds[fast]))
        rows.append(Row(name, median, low, high, goal))
    gains = {name: round(ratio_interval(seconds["fp32"], spent)[0], 3) for name, spent in seconds.items()}
    details = {
        "clock": "processor seconds of one thread",
        "threads": torch.get_num_threads(),
        "texts, tokens of each": [len(texts), TEXT_TOKENS],
        "prompts, new tokens": [min(len(texts), PROMPTS), NEW_TOKENS],
        "ledger": ledger,
        "speed over fp32": gains,
        "products": product_ratios(5 if options.quick else 31),
    }
    report("bench_pruning", rows, details, options)


if __name__ == "__main__":
    main()
