"""The committed adapters: the target of chapter 2, which knows Python, adapted to the definitions of a dictionary."""

from pathlib import Path

from safetensors.torch import load_file

from nimblelm import data
from nimblelm.compression.lora import add_lora, load_adapter
from nimblelm.compression.qlora import add_qlora
from nimblelm.inference.speculative.pair import load_pair
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import from_int8

ADAPTER_FOLDER = Path(data.__file__).parent / "checkpoints" / "adapted_target"
RANK, ALPHA = 6, 12.0


def load_adapted(kind: str = "lora") -> Llama:
    """The target with its adapter beside frozen weights, in float32.

    Args:
        kind: "lora", on the weights as they are, or "qlora", on the weights in NF4 with double quantization.

    Raises:
        ValueError: there is no such adapter.

    Chapter: book/ch05_quantization_and_lora
    """
    if kind not in ("lora", "qlora"):
        raise ValueError(f"adapter {kind!r} is neither 'lora' nor 'qlora'")
    model = load_pair().target
    (add_lora if kind == "lora" else add_qlora)(model, RANK, ALPHA)
    load_adapter(model, from_int8(load_file(ADAPTER_FOLDER / f"{kind}.safetensors")))
    return model.eval().requires_grad_(False)


def held_out_definitions() -> list[str]:
    """Entries of WordNet 3.0 that no adapter saw, one a line: "word (part of speech): definition".

    Chapter: book/ch05_quantization_and_lora
    """
    return (ADAPTER_FOLDER / "definitions.txt").read_text().splitlines(keepends=True)
