"""What autograd keeps for a backward pass, in bytes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


def saved_bytes(forward: Callable[[], Result], there_anyway: Sequence[Tensor] = ()) -> tuple[int, Result]:
    """Bytes of the tensors that a forward pass keeps for its backward pass, and the pass's result.

    Each storage counts once, as far as it was not there before: parameters that are kept cost nothing more.

    Args:
        forward: runs the pass; no gradient is computed here.
        there_anyway: tensors that are not to be counted, such as a model's weights.

    Chapter: book/ch05_quantization_and_lora
    """
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward()
    for tensor in there_anyway:
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(kept.values()), result
