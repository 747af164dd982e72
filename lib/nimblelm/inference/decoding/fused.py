"""Projections fused for decoding: one product gives queries, keys and values, where a step is made of launches."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nimblelm.nn.attend import Attend
from nimblelm.nn.attention import Attention, Rotate
from nimblelm.nn.weight_layout import by_column, store_by_column

Model = TypeVar("Model", bound=nn.Module)


def for_decoding(model: Model) -> Model:
    """The same model with its projections fused and, on a CPU, its weights stored by column (`store_by_column`).

    Weights are shared, not copied: those of `model` become parts of the fused matrices, so training one goes on to
    change the other. Attention with biases, with norms of queries and keys, or whose projections were replaced, by
    adapters for instance, stays as it is.
    """
    decoder = _fused(model)
    if next(model.parameters()).device.type == "cpu":
        store_by_column(decoder)
    return decoder


def _fused(module: Model) -> Model:
    if isinstance(module, Attention) and _is_plain(module):
        return FusedAttention(module)  # pyright: ignore[reportReturnType]
    children: dict[str, nn.Module | None] = {name: _fused(child) for name, child in module.named_children()}
    if all(child is getattr(module, name) for name, child in children.items()):
        return module
    twin = copy.copy(module)
    twin._modules = children
    return twin


def _is_plain(attention: Attention) -> bool:
    parts = [attention.q_proj, attention.k_proj, attention.v_proj]
    return isinstance(attention.q_norm, nn.Identity) and all(
        type(part) is nn.Linear and part.bias is None and part.in_features == parts[0].in_features for part in parts
    )


class FusedAttention(nn.Module):
    """`Attention` of a sequence to itself in which queries, keys and values come out of one product.

    Queries and keys are rotated at once as well.

    Args:
        attention: whose weights are read, without biases and norms.
    """

    weight: Tensor

    def __init__(self, attention: Attention):
        super().__init__()
        self.head_dim, self.out_proj = attention.head_dim, attention.out_proj
        weights = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
        queries, keys, values = (len(weight) // self.head_dim for weight in weights)
        self.qk_v, self.q_k = [queries + keys, values], [queries, keys]  # heads
        self.register_buffer("weight", _joined(weights))

    def forward(self, x: Tensor, attend: Attend, rotate: Rotate | None = None) -> Tensor:
        """As `Attention.forward`, without a context."""
        qkv = self.qkv(x).unflatten(-1, (-1, self.head_dim))  # (B, T, H + 2 Hkv, D)
        qk, v = qkv.split(self.qk_v, dim=2)
        q, k = (qk if rotate is None else rotate(qk)).split(self.q_k, dim=2)
        return self.out_proj(attend(q, k, v).flatten(2).to(x.dtype))

    def qkv(self, x: Tensor) -> Tensor:
        """Queries, keys and values side by side, (B, T, (H + 2 Hkv) D)."""
        return F.linear(x, self.weight)


def _joined(weights: Sequence[Tensor]) -> Tensor:
    """One matrix of the rows of all, of which the weights are views from now on, or are already."""
    first, counts = weights[0].data, [len(weight) for weight in weights]
    whole = first.as_strided((sum(counts), first.shape[1]), first.stride()) if _adjacent(weights) else None
    if whole is None:
        whole = torch.cat([weight.data for weight in weights])
        whole = by_column(whole) if whole.device.type == "cpu" else whole
        for weight, part in zip(weights, whole.split(counts), strict=True):
            weight.data = part
    return whole


def _adjacent(weights: Sequence[Tensor]) -> bool:
    """Whether each weight's rows lie behind those of the one before, in one storage."""
    return all(
        a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
        and a.stride() == b.stride()
        and a.storage_offset() + len(a) * a.stride(0) == b.storage_offset()
        for a, b in pairwise(weights)
    )
