"""A model whose matrices were rounded and are used in float again: what rounding costs, apart from any speed."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor, nn

from nimblelm.compression.quantization.absmax import quantize_absmax
from nimblelm.compression.quantization.gptq import InputMoments, gptq
from nimblelm.language.llama import Llama


class Compressed(Protocol):
    """A matrix in few bits.

    Chapter: book/ch05_quantization_and_lora
    """

    @property
    def size_bytes(self) -> int: ...

    def dequantize(self, dtype: torch.dtype = ...) -> Tensor: ...


class Simulated(NamedTuple):
    """A model in float32 with the values of compressed weights, and these by name.

    Chapter: book/ch05_quantization_and_lora
    """

    model: Llama
    weights: dict[str, Any]  # of the embedding and of every projection: a `Compressed`

    @property
    def size_bytes(self) -> int:
        """Of the compressed weights, and 4 for each gain of a norm."""
        gains = sum(p.nbytes for p in self.model.parameters() if p.ndim == 1)
        return gains + sum(weight.size_bytes for weight in self.weights.values())


Quantize = Callable[[str, Tensor], Compressed]  # a matrix's name and the matrix


def simulate(model: Llama, quantize: Quantize) -> Simulated:
    """Round every projection of the blocks by `quantize`, and the embedding, which is the head too, to 8 bits a row.

    Gains of norms keep 32 bits.

    Args:
        model: stays as it is.
        quantize: gives the compressed form of the projection with that name, such as blocks.0.mlp.down_proj.

    Chapter: book/ch05_quantization_and_lora
    """
    rounded = copy.deepcopy(model)
    stored = {"embedding": quantize_absmax(rounded.embedding.weight.detach())}
    stored |= {name: quantize(name, layer.weight.detach()) for name, layer in projections(rounded)}
    with torch.no_grad():
        for name, weight in stored.items():
            own: Any = rounded.get_submodule(name).weight
            own.copy_(weight.dequantize())
    return Simulated(rounded, stored)


def projections(model: Llama) -> list[tuple[str, nn.Linear]]:
    """The linear layers of the blocks with their names, in the order in which a pass meets them.

    Chapter: book/ch05_quantization_and_lora
    """
    return [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear) and n.startswith("blocks.")]


@torch.no_grad()
def gptq_model(model: Llama, tokens: Int[Tensor, "B T"], bits: int = 4, group_size: int | None = None) -> Simulated:
    """GPTQ on every projection, block after block, each on the inputs that the rounded blocks before it give.

    (Frantar et al., 2023, arXiv:2210.17323, section 4). The projections of one block see its inputs before any of them
    is rounded.

    Args:
        model: stays as it is.
        tokens: calibration text.
        bits, group_size: as in `gptq`, with its errors.

    Chapter: book/ch05_quantization_and_lora
    """
    rounded, found = copy.deepcopy(model), {}

    def quantize(name: str, layer: nn.Linear, moments: InputMoments) -> None:
        found[name] = gptq(layer.weight, moments.hessian, bits, group_size)
        layer.weight.copy_(found[name].dequantize())

    block_by_block(rounded, tokens, InputMoments, quantize)
    return simulate(model, lambda name, weight: found[name])


@runtime_checkable
class Statistics(Protocol):
    """Of the inputs of a layer."""

    def add(self, x: Tensor) -> None: ...


Seen = TypeVar("Seen", bound=Statistics)


@torch.no_grad()
def block_by_block(
    model: Llama, tokens: Tensor, statistics: Callable[[int], Seen], compress: Callable[[str, nn.Linear, Seen], None]
) -> None:
    """Compress every projection in place, each block on the inputs that the compressed blocks before it give.

    Args:
        model: is changed by `compress`.
        tokens: (B, T) calibration text.
        statistics: of a layer's inputs, made from their width.
        compress: is given a projection's name, the layer, and the statistics of its inputs while no layer of its block
            is compressed.
    """
    states = list(model.embed(tokens).split(8))
    for index, block in enumerate(model.blocks):
        layers = [(name, layer) for name, layer in projections(model) if name.startswith(f"blocks.{index}.")]
        alone = copy.copy(model)  # this block as a whole model
        alone._modules = {**model._modules, "blocks": nn.ModuleList([block])}
        seen = _watched(alone, layers, states, statistics)
        for name, layer in layers:
            compress(name, layer, seen[name])
        states = [list(alone.layers(part))[-1] for part in states]


def _watched(
    model: Llama, layers: list[tuple[str, nn.Linear]], states: list[Tensor], statistics: Callable[[int], Seen]
) -> dict[str, Seen]:
    """Statistics of the inputs of each layer while the model's blocks read the states."""
    seen = {name: statistics(layer.in_features) for name, layer in layers}

    def watch(name: str):
        return lambda module, inputs: seen[name].add(inputs[0])

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers]
    try:
        for part in states:
            list(model.layers(part))
    finally:
        for hook in hooks:
            hook.remove()
    return seen
