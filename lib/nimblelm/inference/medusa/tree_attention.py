"""Attention over a tree of tokens."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nimblelm.kernels.shapes import check_attention
from nimblelm.nn.attend import masked


def tree_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S Hkv D"],
    v: Float[Tensor, "B S Hkv D"],
    mask: Bool[Tensor, "T T"],
) -> Float[Tensor, "B T H D"]:
    """Attention of T tree nodes to all that came before the tree and, within it, to what the mask allows.

    softmax(Q K^T / sqrt(D) + M) V, M = 0 before the tree and where the mask is true, -inf elsewhere
    (Cai et al., 2024, arXiv:2401.10774, section 2.1.2).

    Args:
        q: queries of the nodes; H / Hkv of them share one key-value head.
        k, v: keys and values, those of the nodes last.
        mask: row i is true at the nodes that node i sees, itself among them.

    Raises:
        ValueError: q, k, v or mask do not fit each other.

    Chapter: book/ch03_medusa_heads
    """
    check_attention(q, k, v)
    num_nodes = q.shape[1]
    if mask.shape != (num_nodes, num_nodes) or num_nodes > k.shape[1]:
        raise ValueError(f"mask {tuple(mask.shape)} does not fit {num_nodes} nodes and {k.shape[1]} keys")
    before = mask.new_ones(len(mask), k.shape[1] - len(mask))
    return masked(torch.cat([before, mask], dim=1))(q, k, v)
