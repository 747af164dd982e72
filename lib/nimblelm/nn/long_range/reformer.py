"""Reformer: keys that hash to the query's bucket, arXiv:2001.04451."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.kernels.flash_attention.online_softmax import merge_parts
from nimblelm.nn.long_range.clusters import cluster_attention

SELF = -1e5  # score of a position with itself: it is its own nearest, and says nothing about the others


def lsh_buckets(x: Float[Tensor, "B T H D"], rotations: Float[Tensor, "P D R"]) -> Int[Tensor, "P B H T"]:
    """The bucket of each position in each of P rounds; near vectors share one more often than far ones.

    h(x) = argmax([x R; -x R]), 2 R buckets
    (Andoni et al., 2015, arXiv:1509.02897; Kitaev et al., 2020, arXiv:2001.04451, section 2).

    Args:
        x: vectors; their lengths play no part.
        rotations: normal numbers.

    Chapter: book/ch04_flash_attention
    """
    rotated = torch.einsum("bthd,pdr->pbhtr", x, rotations)
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
        ValueError: the chunks do not divide the length.

    Chapter: book/ch04_flash_attention
    """
    keys = qk * qk.square().sum(-1, keepdim=True).clamp_min(1e-12).rsqrt()

    def mask(scores: Tensor, i: Tensor, j: Tensor) -> Tensor:
        scores = scores.masked_fill(j > i, -1e9) if causal else scores
        return scores.masked_fill(i == j, SELF)

    rounds = []
    for one in buckets:
        order = one.argsort(stable=True)
        rounds.append(cluster_attention(qk, keys, v, order, order, num_chunks, True, 1.0, mask))
    outs = torch.stack([out.transpose(1, 2) for out, _ in rounds])  # (P, B, H, T, D)
    return merge_parts(outs, torch.stack([lse for _, lse in rounds]))[0].transpose(1, 2)
