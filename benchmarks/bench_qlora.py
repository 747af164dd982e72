"""What a GPU says of NF4: its product against cuBLAS in bf16, and the memory of a QLoRA step against a LoRA step.

python benchmarks/bench_qlora.py [--quick] [--json] [--save]
"""

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from report import Row, arguments, missing, report
from torch import Tensor, nn

from nimblelm.compression.lora import add_lora
from nimblelm.compression.qlora import FrozenProduct, add_qlora
from nimblelm.compression.quantization.nf4 import quantize_nf4
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.measure.timing import interleaved_times, ratio_interval

SIZE = 8192
SHAPE = LlamaConfig(2048, d_model=2048, num_layers=16, num_heads=16, num_kv_heads=16, d_ff=5632, max_seq_len=1024)
ROWS = {  # name: goal; the first is below 1: NF4 is dequantized to memory for every product, and says so
    "NF4 product, M=1, 8192^2, against cuBLAS bf16": 0.0,
    "LoRA bf16 / QLoRA: memory of the weights": 3.0,
    "LoRA bf16 / QLoRA: peak memory of a training step": 1.0,
}


def product_times(quick: bool) -> tuple[float, float, float]:
    """Seconds of cuBLAS over seconds of the NF4 product, one token."""
    weight = torch.randn(SIZE, SIZE, device="cuda") / SIZE**0.5
    stored, dense = quantize_nf4(weight), weight.bfloat16()
    x = torch.randn(1, SIZE, device="cuda", dtype=torch.bfloat16)

    def synchronised(call: Callable[[], Tensor]) -> Callable[[], None]:
        def run() -> None:
            call()
            torch.cuda.synchronize()

        return run

    turns = {
        "nf4": synchronised(lambda: FrozenProduct.apply(x, stored)),  # pyright: ignore[reportArgumentType]
        "bf16": synchronised(lambda: F.linear(x, dense)),
    }
    times = interleaved_times(turns, 10 if quick else 50, 5)
    return ratio_interval(times["bf16"], times["nf4"])


def step_bytes(prepare: Callable[[nn.Module], nn.Module]) -> tuple[int, int]:
    """Bytes of the model with its adapters, and at the peak of one step of Adam."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.manual_seed(0)
    model = prepare(Llama(SHAPE).to("cuda", torch.bfloat16))
    weights = torch.cuda.memory_allocated() - before
    torch.cuda.reset_peak_memory_stats()
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning)
    tokens = torch.randint(SHAPE.vocab_size, (4, 513), device="cuda")
    F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1).float(), tokens[:, 1:].flatten()).backward()
    optimizer.step()
    return weights, torch.cuda.max_memory_allocated() - before


def main() -> None:
    options = arguments(str(__doc__))
    if not torch.cuda.is_available():
        report(
            "bench_qlora", [missing(*item) for item in ROWS.items()], {"not measured": "no CUDA device here"}, options
        )
        return
    names = list(ROWS)
    median, low, high = (round(x, 3) for x in product_times(options.quick))
    rows = [Row(names[0], median, low, high, ROWS[names[0]])]
    measured = {
        name: [step_bytes(lambda m, add=add: add(m, 16, 32.0).to("cuda")) for _ in range(2)]
        for name, add in (("lora", add_lora), ("qlora", add_qlora))
    }
    for name, part in zip(names[1:], (0, 1), strict=True):
        ratio = statistics.median(a[part] / b[part] for a, b in zip(measured["lora"], measured["qlora"], strict=True))
        rows.append(Row(name, round(ratio, 3), round(ratio, 3), round(ratio, 3), ROWS[name]))
    report("bench_qlora", rows, {"bytes of (weights, peak), twice": measured}, options)


if __name__ == "__main__":
    main()
