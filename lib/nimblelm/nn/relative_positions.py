"""Learned biases of relative positions, T5's."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class RelativeBias(nn.Module):
    """One number for each head and each bucket of distances, added to the scores of attention.

    Half of the buckets hold one distance each, the others grow logarithmically up to `max_distance`, beyond which all
    share the last (Raffel et al., 2020, arXiv:1910.10683, section 2.1).

    Args:
        num_heads: H.
        bidirectional: half of the buckets are for keys after the query; otherwise those share the first bucket.
        num_buckets: of all distances.
        max_distance: from which on distances are not told apart.

    Raises:
        ValueError: no head, too few buckets for distances, or a max_distance within the buckets of one distance each.
    """

    def __init__(self, num_heads: int, bidirectional: bool, num_buckets: int = 32, max_distance: int = 128):
        super().__init__()
        self.bidirectional, self.max_distance = bidirectional, max_distance
        exact = num_buckets // (4 if bidirectional else 2)
        if not (num_heads >= 1 and 1 <= exact < max_distance):
            raise ValueError(
                f"num_heads {num_heads} must be 1 or more, num_buckets {num_buckets} {4 if bidirectional else 2} or "
                f"more, and max_distance {max_distance} above {exact}, the buckets of one distance each"
            )
        self.weight = nn.Parameter(torch.zeros(num_buckets, num_heads))

    def forward(self, queries: Int[Tensor, "T"], keys: Int[Tensor, "S"]) -> Float[Tensor, "1 H T S"]:
        """The biases between positions of queries and of keys."""
        buckets = self.buckets(keys - queries[:, None])
        return self.weight[buckets].permute(2, 0, 1)[None]

    def buckets(self, distances: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The bucket of each distance key - query."""
        count, first = len(self.weight), torch.zeros_like(distances)
        if self.bidirectional:
            count //= 2
            first, distances = count * (distances > 0), distances.abs()
        else:
            distances = (-distances).clamp(min=0)
        exact = count // 2
        growth = (distances.float() / exact).log() / math.log(self.max_distance / exact)  # 0 to 1
        far = (exact + (growth * (count - exact)).long()).clamp(max=count - 1)
        return first + torch.where(distances < exact, distances, far)
