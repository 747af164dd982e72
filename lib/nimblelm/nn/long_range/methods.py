"""The rows of the Long Range Arena table as functions of queries, keys and values, each with its settings."""

from collections.abc import Callable

import torch
from torch import Tensor

from nimblelm.kernels.flash_attention import flash_attention
from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.block_sparse import butterfly_blocks, gathered_block_attention
from nimblelm.nn.long_range.linear_attention import linear_attention
from nimblelm.nn.long_range.linformer import linformer_attention
from nimblelm.nn.long_range.local_attention import local_attention
from nimblelm.nn.long_range.performer import orthogonal_directions, performer_attention
from nimblelm.nn.long_range.precision import widened
from nimblelm.nn.long_range.reformer import lsh_attention, lsh_buckets
from nimblelm.nn.long_range.smyrf import smyrf_attention

WINDOW, RANK, ROUNDS = 16, 32, 2  # positions seen on one side; projected keys, or random features; rounds of hashing
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def naive_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention as one would write it, every score in memory; (B, T, H, D) each.

    O = softmax(Q K^T / sqrt(D)) V      (Vaswani et al., 2017, arXiv:1706.03762, eq. 1)

    Raises:
        ValueError: q, k and v do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q=(q, "B T H D"), k=(k, "B S H D"), v=(v, "B S H D"))
    query, key, value = (x.transpose(1, 2) for x in widened(q, k, v))
    scores = query * q.shape[-1] ** -0.5 @ key.mT
    return (scores.softmax(-1) @ value).transpose(1, 2).to(v.dtype)


def long_range_methods(
    length: int, head_dim: int, generator: torch.Generator | None = None
) -> tuple[dict[str, Attend], dict[str, Tensor]]:
    """Every method of the table for sequences of one length, not causal.

    Settings: 16 positions in a block, a cluster or on one side of a window, 32 projected keys or random features, two
    rounds of hashing.

    Args:
        length: T, a multiple of 16.
        head_dim: D.
        generator: source of the random projections and directions.

    Returns:
        (methods, projections): functions of q, k, v by name, and the tensors of Linformer, which may be trained.

    Raises:
        ValueError: length is not a multiple of 16.

    Chapter: book/ch04_flash_attention
    """
    if length % WINDOW:
        raise ValueError(f"length {length} is not a multiple of {WINDOW}")
    chunks = length // WINDOW
    random = [
        torch.randn(*shape, generator=generator)
        for shape in ((RANK, length), (RANK, length), (ROUNDS, head_dim, max(1, chunks // 2)), (ROUNDS, head_dim + 2))
    ]
    project_keys, project_values = (x / length**0.5 for x in random[:2])
    rotations, lines = random[2:]
    directions, blocks = orthogonal_directions(RANK, head_dim, generator), butterfly_blocks(chunks)
    methods: dict[str, Attend] = {
        "full, naive": naive_attention,
        "full, flash": flash_attention,
        "block-sparse": lambda q, k, v: gathered_block_attention(q, k, v, blocks, WINDOW),
        "Linformer": lambda q, k, v: linformer_attention(q, k, v, project_keys, project_values),
        "linear attention": linear_attention,
        "Performer": lambda q, k, v: performer_attention(q, k, v, directions),
        "local": lambda q, k, v: local_attention(q, k, v, WINDOW),
        "Reformer": lambda _, k, v: lsh_attention(k, v, lsh_buckets(k.detach(), rotations), chunks),
        "Smyrf": lambda q, k, v: smyrf_attention(q, k, v, lines, chunks),
    }
    return methods, {"keys": project_keys, "values": project_values}
