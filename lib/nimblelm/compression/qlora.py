"""QLoRA: adapters on a base in 4 bits, whose gradients pass through weights that exist only while they are used."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.compression.lora import PROJECTIONS, add_lora, check_adapter, named_layers
from nimblelm.compression.quantization.nf4 import NF4Weight, quantize_nf4


class FrozenProduct(torch.autograd.Function):
    """x W^T with W in 4 bits and without a gradient of its own.

    forward: y = x dequantize(W)^T;  backward: dL/dx = dL/dy dequantize(W), dequantized once more
    (Dettmers et al., 2023, arXiv:2305.14314, eq. 5). Nothing is kept for the backward pass but the packed weight,
    which is there anyway: x would be needed for the gradient of W alone, and the dequantized W would be eight times as
    large as the packed one.

    Chapter: book/ch05_quantization_and_lora
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: NF4Weight) -> Tensor:
        ctx.weight = weight
        return F.linear(x, weight.dequantize(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,) = grads
        return grad @ ctx.weight.dequantize(grad.dtype), None


class NF4Linear(nn.Module):
    """A frozen linear layer without bias whose weight is stored in NF4.

    Args:
        weight: from `quantize_nf4`.

    Chapter: book/ch05_quantization_and_lora
    """

    def __init__(self, weight: NF4Weight):
        super().__init__()
        self.stored = weight
        self.out_features, self.in_features = weight.shape

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        return FrozenProduct.apply(x, self.stored)  # pyright: ignore[reportReturnType]


def add_qlora(
    model: nn.Module,
    rank: int,
    alpha: float,
    targets: Sequence[str] = PROJECTIONS,
    double: bool = True,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Store the named layers in NF4, then `add_lora`; the model itself is changed.

    Args:
        model: with plain linear layers without bias of these names.
        double: quantize the scales too.
        rank, alpha, targets, generator: as in `add_lora`.

    Raises:
        ValueError: a layer has a bias or is no plain linear layer; as `add_lora` and `quantize_nf4`. Nothing is changed
            then.

    Chapter: book/ch05_quantization_and_lora
    """
    found, stored = named_layers(model, targets), []
    for parent, name in found:
        layer = getattr(parent, name)
        if type(layer) is not nn.Linear or layer.bias is not None:
            raise ValueError(f"{name} is {layer}, not a plain linear layer without bias")
        check_adapter(layer, rank, alpha)
        stored.append(NF4Linear(quantize_nf4(layer.weight.detach(), double)))
    for (parent, name), layer in zip(found, stored, strict=True):
        setattr(parent, name, layer)
    return add_lora(model, rank, alpha, targets, generator)
