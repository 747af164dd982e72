"""Reformer: keys that hash to the query's bucket, arXiv:2001.04451."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.clusters import cluster_attention, merge_rounds
from nimblelm.nn.long_range.precision import widened


def lsh_buckets(x: Float[Tensor, "B T H D"], rotations: Float[Tensor, "P D R"]) -> Int[Tensor, "P B H T"]:
    """The bucket of each position in each of P rounds; near vectors share one more often than far ones.

    h(x) = argmax([x R; -x R]), 2 R buckets
    (Andoni et al., 2015, arXiv:1509.02897; Kitaev et al., 2020, arXiv:2001.04451, section 2).

    Args:
        x: vectors; their lengths play no part.
        rotations: normal numbers.

    Raises:
        ValueError: x and rotations do not fit each other.
    """
    check_fit(x=(x, "B T H D"), rotations=(rotations, "P D R"))
    rotated = torch.einsum("bthd,pdr->pbhtr", *widened(x, rotations))
    return torch.cat([rotated, -rotated], dim=-1).argmax(-1)


def lsh_attention(
    qk: Float[Tensor, "B T H D"],
    v: Float[Tensor, "B T H D"],
    buckets: Int[Tensor, "P B H T"],
    num_chunks: int,
    causal: bool = False,
) -> Float[Tensor, "B T H D"]:
    """Attention among positions that are close in the order of their buckets, in P rounds.

    Sort by (bucket, position), cut into chunks; a chunk sees itself and the one before. Queries and keys are one, the
    keys scaled to length 1, and a position sees itself only where it sees nothing else. Rounds are merged by their
    denominators (Kitaev et al., 2020, arXiv:2001.04451, section 2 and appendix A); a pair that meets in several rounds
    counts several times, as in the public implementations.

    Args:
        qk: shared queries and keys.
        v: values.
        buckets: from `lsh_buckets`.
        num_chunks: a divisor of T. With one chunk this is full attention.
        causal: query i sees only the keys j <= i.

    Raises:
        ValueError: qk, v and buckets do not fit each other, or the chunks do not divide the length.

    Chapter: book/ch04_flash_attention
    """
    check_fit(qk=(qk, "B T H D"), v=(v, "B T H D"), buckets=(buckets, "P B H T"))
    queries, values = widened(qk, v)
    keys = F.normalize(queries, dim=-1, eps=torch.finfo(queries.dtype).tiny)

    def mask(scores: Tensor, i: Tensor, j: Tensor) -> Tensor:
        scores = scores.masked_fill(j > i, float("-inf")) if causal else scores
        # a position is its own nearest, and says nothing about the others: below every score, above what is hidden
        return scores.masked_fill(i == j, torch.finfo(scores.dtype).min)

    rounds = []
    for one in buckets:
        order = one.argsort(stable=True)
        rounds.append(cluster_attention(queries, keys, values, order, order, num_chunks, True, 1.0, mask))
    return merge_rounds(rounds).to(v.dtype)
