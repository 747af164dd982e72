"""Linear attention: a kernel of feature maps in the place of the softmax, arXiv:2006.16236."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def elu_features(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """phi(x) = elu(x) + 1, positive everywhere      (Katharopoulos et al., 2020, arXiv:2006.16236, eq. 7).

    Chapter: book/ch04_flash_attention
    """
    return F.elu(x) + 1


def kernel_attention(
    q_features: Float[Tensor, "B T H M"], k_features: Float[Tensor, "B S H M"], v: Float[Tensor, "B S H D"]
) -> Float[Tensor, "B T H D"]:
    """Attention with weights phi(q) . phi(k), summed over the keys first: O(S M D), whatever the number of queries.

    O_i = phi(Q_i) (sum_j phi(K_j) V_j^T) / (phi(Q_i) . sum_j phi(K_j))
    (Katharopoulos et al., 2020, arXiv:2006.16236, eq. 4 to 6).

    Chapter: book/ch04_flash_attention
    """
    weighted = torch.einsum("bjhm,bjhd->bhmd", k_features, v)
    total = k_features.sum(1)  # (B, H, M)
    divisor = torch.einsum("bihm,bhm->bih", q_features, total)
    return torch.einsum("bihm,bhmd->bihd", q_features, weighted) / divisor[..., None]


def causal_kernel_attention(
    q_features: Float[Tensor, "B T H M"],
    k_features: Float[Tensor, "B T H M"],
    v: Float[Tensor, "B T H D"],
    chunk: int = 64,
) -> Float[Tensor, "B T H D"]:
    """The same where query i sees the keys j <= i, for all positions at once.

    O_i = phi(Q_i) sum_{j <= i} phi(K_j) V_j^T / (phi(Q_i) . sum_{j <= i} phi(K_j))      (eq. 9 of the paper)

    Within a chunk through its scores, from earlier chunks through their sums: O(T (chunk + M) D).

    Args:
        q_features, k_features: phi(Q) and phi(K).
        v: values.
        chunk: positions that are computed through scores.

    Chapter: book/ch04_flash_attention
    """
    length = v.shape[1]
    padded = [F.pad(x, (0, 0, 0, 0, 0, -length % chunk)) for x in (q_features, k_features, v)]
    q, k, v = (rearrange(x, "b (c i) h d -> b h c i d", i=chunk) for x in padded)
    v = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)  # its last column sums the weights
    sums = k.mT @ v  # (B, H, C, M, D + 1), one for each chunk
    before = sums.cumsum(2) - sums
    within = (q @ k.mT).tril() @ v
    out = rearrange(q @ before + within, "b h c i d -> b (c i) h d")[:, :length]
    return out[..., :-1] / out[..., -1:]


class LinearState(NamedTuple):
    """All that causal linear attention keeps of the past, whatever its length.

    Args:
        weighted: sum_j phi(K_j) V_j^T, (B, H, M, D).
        total: sum_j phi(K_j), (B, H, M).

    Chapter: book/ch04_flash_attention
    """

    weighted: Tensor
    total: Tensor


def linear_step(
    state: LinearState | None,
    q_features: Float[Tensor, "B H M"],
    k_features: Float[Tensor, "B H M"],
    v: Float[Tensor, "B H D"],
) -> tuple[Float[Tensor, "B H D"], LinearState]:
    """One position of causal linear attention as a recurrent network.

    s_i = s_{i-1} + phi(K_i) V_i^T, z_i = z_{i-1} + phi(K_i), O_i = phi(Q_i) s_i / (phi(Q_i) . z_i)
    (Katharopoulos et al., 2020, arXiv:2006.16236, eq. 18 to 20).

    Args:
        state: what the step before returned, None at the first.
        q_features, k_features, v: phi(Q_i), phi(K_i) and V_i.

    Returns:
        (out, state).

    Chapter: book/ch04_flash_attention
    """
    weighted, total = k_features[..., None] * v[..., None, :], k_features
    if state is not None:
        weighted, total = state.weighted + weighted, state.total + total
    out = torch.einsum("bhm,bhmd->bhd", q_features, weighted) / (q_features * total).sum(-1, keepdim=True)
    return out, LinearState(weighted, total)


def linear_attention(
    q: Float[Tensor, "B T H D"], k: Float[Tensor, "B T H D"], v: Float[Tensor, "B T H D"], causal: bool = False
) -> Float[Tensor, "B T H D"]:
    """Linear attention with the feature map elu(x) + 1      (Katharopoulos et al., 2020, arXiv:2006.16236).

    Chapter: book/ch04_flash_attention
    """
    attend = causal_kernel_attention if causal else kernel_attention
    return attend(elu_features(q), elu_features(k), v)
