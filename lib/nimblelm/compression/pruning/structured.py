"""Whole heads, hidden units, features or layers: what each is worth, by gradients or by what a layer changes."""

import itertools
from dataclasses import fields

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from nimblelm.compression.pruning.magnitude import largest
from nimblelm.compression.pruning.shearing import Shape
from nimblelm.compression.pruning.slicing import StructuredMasks, masked_weights
from nimblelm.language.llama import Llama


def importance(model: Llama, tokens: Int[Tensor, "B T"]) -> StructuredMasks:
    """How much the loss moves when a part is scaled down a little: mean over texts of |dL / dz|, at masks z = 1.

    I = E |z dL/dz|      (Michel et al., 2019, arXiv:1905.10650, eq. 2, for heads)

    Args:
        model: without dropout.
        tokens: texts of T tokens, each of which has a loss of its own.

    Returns:
        An importance of 0 or more for each layer, head, hidden unit and feature of the residual stream.

    Raises:
        ValueError: texts of fewer than two tokens.

    Chapter: book/ch06_pruning
    """
    if tokens.shape[1] < 2:
        raise ValueError(f"texts of {tokens.shape[1]} tokens: a loss needs two or more")
    masks = StructuredMasks.all_open(model)
    leaves = [getattr(masks, field.name).requires_grad_(True) for field in fields(masks)]
    totals = [torch.zeros_like(leaf) for leaf in leaves]
    for text in tokens:
        logits = functional_call(model, masked_weights(model, masks), (text[None, :-1],))[0]
        gradients = torch.autograd.grad(F.cross_entropy(logits, text[1:]), leaves)
        for total, gradient in zip(totals, gradients, strict=True):
            total += gradient.abs() / len(tokens)
    return StructuredMasks(*totals)


def most_important(worth: StructuredMasks, shape: Shape, num_kv_heads: int) -> StructuredMasks:
    """Masks of 0 and 1 of exactly the shape: in each layer the heads and units that are worth most, and so on.

    Of the query heads of each key-value head as many stay as of every other; of equal parts the earlier.

    Args:
        worth: from `importance`.
        shape: what shall stay.
        num_kv_heads: of the model.

    Raises:
        ValueError: the shape is larger than the model, or its heads do not divide over the key-value heads.

    Chapter: book/ch06_pruning
    """
    if shape.heads % num_kv_heads:
        raise ValueError(f"{shape.heads} heads do not divide over {num_kv_heads} key-value heads")

    def keep(rows: Tensor, count: int) -> Tensor:
        return torch.stack([largest(row, count) for row in rows.flatten(0, -2)]).view(rows.shape).to(rows.dtype)

    grouped = worth.heads.unflatten(-1, (num_kv_heads, -1))
    return StructuredMasks(
        keep(worth.layers[None], shape.layers)[0],
        keep(grouped, shape.heads // num_kv_heads).flatten(1),
        keep(worth.units, shape.units),
        keep(worth.width[None], shape.width)[0],
    )


@torch.inference_mode()
def block_influence(model: Llama, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "L"]:
    """How far each layer turns the residual stream: 1 - the mean cosine of its input and its output.

    BI_i = 1 - E cos(x_i, x_{i+1})          (Men et al., 2024, arXiv:2403.03853, eq. 1)

    Chapter: book/ch06_pruning
    """
    states = list(model.layers(model.embed(tokens)))
    return torch.stack([1 - F.cosine_similarity(a, b, dim=-1).mean() for a, b in itertools.pairwise(states)])
