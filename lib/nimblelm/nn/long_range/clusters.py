"""Attention within clusters of equal size: what Reformer and Smyrf share once they have sorted their positions."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.kernels.flash_attention.online_softmax import merge_parts
from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.precision import widened


def cluster_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S H D"],
    v: Float[Tensor, "B S H D"],
    query_order: Int[Tensor, "B H T"],
    key_order: Int[Tensor, "B H S"],
    num_chunks: int,
    look_back: bool,
    scale: float,
    mask: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
) -> tuple[Float[Tensor, "B T H D"], Float[Tensor, "B H T"]]:
    """Softmax attention from each chunk of the sorted queries to the same chunk of the sorted keys.

    The sorted-chunk attention of Kitaev et al., 2020, arXiv:2001.04451, section 2 (figure 2, right).

    Args:
        q, k, v: queries, keys and values, unsorted.
        query_order, key_order: positions in the order of their clusters.
        num_chunks: chunks, a divisor of T and of S.
        look_back: a chunk also sees the chunk of keys before it, the first chunk the last.
        scale: factor of the scores.
        mask: given scores and the positions of queries (B, H, C, m, 1) and of keys (B, H, C, 1, n), the masked scores.

    Returns:
        (out, lse), unsorted, in float32 at least.

    Raises:
        ValueError: the tensors do not fit each other, or the chunks do not divide the lengths.
    """
    check_fit(
        q=(q, "B T H D"), k=(k, "B S H D"), v=(v, "B S H D"),
        query_order=(query_order, "B H T"), key_order=(key_order, "B H S"),
    )  # fmt: skip
    if q.shape[1] % num_chunks or k.shape[1] % num_chunks:
        raise ValueError(f"{num_chunks} chunks do not divide {q.shape[1]} queries and {k.shape[1]} keys")
    q, k, v = widened(q, k, v)
    query, i = _sorted(q, query_order, num_chunks)
    key, j = _sorted(k, key_order, num_chunks)
    value, _ = _sorted(v, key_order, num_chunks)
    if look_back and num_chunks > 1:
        key, value, j = (torch.cat([x.roll(1, dims=2), x], dim=3) for x in (key, value, j))

    scores = query * scale @ key.mT  # (B, H, C, m, n)
    if mask is not None:
        scores = mask(scores, i[..., None], j[..., None, :])
    lse = scores.logsumexp(-1)
    out = scores.softmax(-1) @ value

    back = query_order.argsort(-1)
    out = out.flatten(2, 3).gather(2, back[..., None].expand(-1, -1, -1, v.shape[3]))
    return rearrange(out, "b h t d -> b t h d"), lse.flatten(2).gather(2, back)


def merge_rounds(rounds: list[tuple[Float[Tensor, "B T H D"], Float[Tensor, "B H T"]]]) -> Float[Tensor, "B T H D"]:
    """Rounds of `cluster_attention`, weighted by their denominators."""
    outs = torch.stack([out.transpose(1, 2) for out, _ in rounds])  # (P, B, H, T, D)
    return merge_parts(outs, torch.stack([lse for _, lse in rounds]))[0].transpose(1, 2)


def _sorted(x: Tensor, order: Tensor, num_chunks: int) -> tuple[Tensor, Tensor]:
    """Rows in their order, cut into chunks, and their positions."""
    rows = rearrange(x, "b t h d -> b h t d").gather(2, order[..., None].expand(-1, -1, -1, x.shape[3]))
    return rows.unflatten(2, (num_chunks, -1)), order.unflatten(2, (num_chunks, -1))
