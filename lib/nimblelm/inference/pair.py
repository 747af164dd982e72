"""The committed pair of models: a target trained on Python's standard library and a draft distilled from it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from nimblelm import data
from nimblelm.kernels.wq_matmul import Int8Weight, quantize_int8
from nimblelm.nn.transformer import Transformer, TransformerConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SCALES = ".scales"  # ends the name of an int8 matrix's scales
PAIR_FOLDER = Path(data.__file__).parent / "checkpoints" / "speculative_pair"


class Pair(NamedTuple):
    """A slow, better model and a fast, weaker one over the same vocabulary.

    Chapter: book/ch02_speculative_decoding
    """

    target: Transformer
    draft: Transformer


def load_pair() -> Pair:
    """Both models in float32 and evaluation mode.

    Chapter: book/ch02_speculative_decoding
    """
    return Pair(load_model(PAIR_FOLDER / "target.safetensors"), load_model(PAIR_FOLDER / "draft.safetensors"))


def load_pair_tokenizer() -> "Tokenizer":
    """The tokenizer that both models were trained with.

    Chapter: book/ch02_speculative_decoding
    """
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(PAIR_FOLDER / "tokenizer.json"))


def save_model(model: Transformer, path: Path) -> None:
    """Write weights and configuration into one safetensors file; a tied head is not written twice.

    Chapter: book/ch02_speculative_decoding
    """
    _write(_untied(model), model.config, path)


def save_model_int8(model: Transformer, path: Path) -> None:
    """`save_model` with a byte for each entry of a matrix, and a scale for each of its rows (`quantize_int8`).

    The model that is loaded from it computes in float32 with the rounded weights.

    Chapter: book/ch02_speculative_decoding
    """
    _write(to_int8(_untied(model)), model.config, path)


def load_model(path: Path) -> Transformer:
    """Read what `save_model` or `save_model_int8` wrote, in float32 and evaluation mode, without gradients.

    Chapter: book/ch02_speculative_decoding
    """
    with safe_open(path, "pt") as file:
        config = TransformerConfig(**json.loads(file.metadata()["config"]))
        names = file.keys()
        stored = {name: file.get_tensor(name) for name in names}
    weights = from_int8(stored)
    if config.tie_embeddings:
        weights["head.weight"] = weights["embedding.weight"]
    model = Transformer(config)
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def to_int8(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix as int8 values and, under its name and `SCALES`, the scales of its rows; the rest as it is.

    Chapter: book/ch02_speculative_decoding
    """
    stored = dict(weights)
    for name in [name for name, weight in weights.items() if weight.ndim == 2]:
        rounded = quantize_int8(weights[name])
        stored |= {name: rounded.values, name + SCALES: rounded.scales}
    return stored


def from_int8(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `to_int8` stored, in float32; tensors without scales are taken as they are.

    Chapter: book/ch02_speculative_decoding
    """
    weights = {name: weight.to(torch.float32) for name, weight in stored.items() if not name.endswith(SCALES)}
    for name in [name for name in weights if name + SCALES in stored]:
        weights[name] = Int8Weight(stored[name], stored[name + SCALES]).dequantize()
    return weights


def _untied(model: Transformer) -> dict[str, Tensor]:
    weights = dict(model.state_dict())
    if model.config.tie_embeddings:
        del weights["head.weight"]
    return weights


def _write(weights: dict[str, Tensor], config: TransformerConfig, path: Path) -> None:
    save_file(weights, path, metadata={"config": json.dumps(asdict(config))})
