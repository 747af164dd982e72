"""Linear attention: a kernel of feature maps instead of the softmax, arXiv:2006.16236."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.precision import widened


def elu_features(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """phi(x) = elu(x) + 1, positive everywhere      (Katharopoulos et al., 2020, arXiv:2006.16236, eq. 7).

    Where x < 0 that is exp(x), and so it is computed: of exp(x) - 1 + 1 no digit would be left.

    Chapter: book/ch04_flash_attention
    """
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def log_elu_features(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """log(elu(x) + 1): x itself where it is negative, log(1 + x) elsewhere.

    Chapter: book/ch04_flash_attention
    """
    return torch.where(x > 0, x.clamp(min=0).log1p(), x)


def kernel_attention(
    q_features: Float[Tensor, "B T H M"], k_features: Float[Tensor, "B S H M"], v: Float[Tensor, "B S H D"]
) -> Float[Tensor, "B T H D"]:
    """Attention with weights phi(q) . phi(k), summed over the keys first: O(S M D), whatever the number of queries.

    O_i = phi(Q_i) (sum_j phi(K_j) V_j^T) / (phi(Q_i) . sum_j phi(K_j))
    (Katharopoulos et al., 2020, arXiv:2006.16236, eq. 4 to 6). Accumulates in float32 at least.

    Raises:
        ValueError: the tensors do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q_features=(q_features, "B T H M"), k_features=(k_features, "B S H M"), v=(v, "B S H D"))
    return _full(*widened(q_features, k_features, v)).to(v.dtype)


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

    Raises:
        ValueError: the tensors do not fit each other, or chunk is below 1.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q_features=(q_features, "B T H M"), k_features=(k_features, "B T H M"), v=(v, "B T H D"))
    if chunk < 1:
        raise ValueError(f"chunk {chunk} is below 1")
    q, k, values = widened(q_features, k_features, v)
    return _causal(q, k, values, chunk).to(v.dtype)


def log_kernel_attention(
    q_log: Float[Tensor, "B T H M"],
    k_log: Float[Tensor, "B S H M"],
    v: Float[Tensor, "B S H D"],
    causal: bool = False,
) -> Float[Tensor, "B T H D"]:
    """`kernel_attention`, or `causal_kernel_attention`, from log phi(Q) and log phi(K).

    phi_m(K_j) is kept relative to the largest of that feature among the keys, which moves to the query; of the query's
    features the largest is then taken as 1, since a factor of them all cancels in the quotient. So nothing overflows,
    and no divisor is below 1. For causal attention the largest are those up to each position: a later key changes
    nothing, however large it is.

    Args:
        q_log, k_log: logarithms of the features, S = T where causal.
        v: values.
        causal: query i sees only the keys j <= i.

    Raises:
        ValueError: the tensors do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q_log=(q_log, "B T H M"), k_log=(k_log, "B T H M" if causal else "B S H M"), v=(v, "B S H D"))
    q, k, values = widened(q_log, k_log, v)
    if causal:
        return _causal_log(q, k, values, 16).to(v.dtype)
    highest = _least(k.detach().amax(1, keepdim=True))  # (B, 1, H, M)
    return _full(_relative(q, highest).exp(), (k - highest).exp(), values).to(v.dtype)


def linear_attention(
    q: Float[Tensor, "B T H D"], k: Float[Tensor, "B S H D"], v: Float[Tensor, "B S H D"], causal: bool = False
) -> Float[Tensor, "B T H D"]:
    """Linear attention with the feature map elu(x) + 1      (Katharopoulos et al., 2020, arXiv:2006.16236).

    Raises:
        ValueError: q, k and v do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q=(q, "B T H D"), k=(k, "B S H D"), v=(v, "B S H D"))
    query, key, value = widened(q, k, v)
    return log_kernel_attention(log_elu_features(query), log_elu_features(key), value, causal).to(v.dtype)


class LinearState(NamedTuple):
    """All that causal linear attention keeps of the past, whatever its length, in float32 at least.

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

    Raises:
        ValueError: the tensors do not fit each other, or the state.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q_features=(q_features, "B H M"), k_features=(k_features, "B H M"), v=(v, "B H D"))
    q, k, value = widened(q_features, k_features, v)
    new = LinearState(k[..., None] * value[..., None, :], k)
    if state is not None:
        state = LinearState(*widened(*state))
        check_fit(
            weighted=(state.weighted, "B H M D"), total=(state.total, "B H M"),
            v=(value, "B H D"), k_features=(k, "B H M"),
        )  # fmt: skip
        new = LinearState(state.weighted + new.weighted, state.total + new.total)
    out = torch.einsum("bhm,bhmd->bhd", q, new.weighted) / (q * new.total).sum(-1, keepdim=True)
    return out.to(v.dtype), new


def _full(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weighted = torch.einsum("bjhm,bjhd->bhmd", k, v)
    divisor = torch.einsum("bihm,bhm->bih", q, k.sum(1))
    return torch.einsum("bihm,bhmd->bihd", q, weighted) / divisor[..., None]


def _causal(q: Tensor, k: Tensor, v: Tensor, chunk: int) -> Tensor:
    q, k, v = _with_ones(q, k, v)
    earlier, outs = k.new_zeros(*k.shape[:2], k.shape[3], v.shape[3]), []
    for query, key, value in zip(*(x.split(chunk, 2) for x in (q, k, v)), strict=True):
        weights = (query @ key.mT).masked_fill(_later(query), 0.0)
        outs.append(weights @ value + query @ earlier)
        earlier = earlier + key.mT @ value
    return _quotient(outs)


def _causal_log(q: Tensor, k: Tensor, v: Tensor, chunk: int) -> Tensor:
    """The same from logarithms, feature by feature: what lies before a chunk is multiplied by at most 1."""
    q, k, v = _with_ones(q, k, v)
    highest = _least(k.detach().cummax(2).values)  # (B, H, T, M), of each feature up to each position
    q = _relative(q, highest)
    earlier, before, outs = k.new_zeros(*k.shape[:2], k.shape[3], v.shape[3]), highest[:, :, :1], []
    for query, key, value, now in zip(*(x.split(chunk, 2) for x in (q, k, v, highest)), strict=True):
        # (B, H, i, j, M) in memory: relative to which number a matrix product would be safe depends on i and M
        logs = query[:, :, :, None] + (key[:, :, None] - now[:, :, :, None])
        weights = logs.masked_fill(_later(query)[..., None], float("-inf")).exp().sum(-1)
        outs.append(weights @ value + (query + (before - now)).exp() @ earlier)
        last = now[:, :, -1:]
        earlier = (before - last).exp().mT * earlier + (key - last).exp().mT @ value
        before = last
    return _quotient(outs)


def _with_ones(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, H, T, ...) each; a last column of ones in the values sums the weights."""
    q, k, v = (rearrange(x, "b t h d -> b h t d") for x in (q, k, F.pad(v, (0, 1), value=1.0)))
    return q, k, v


def _later(query: Tensor) -> Tensor:
    """Whether key j comes after query i, for a chunk of them."""
    length = query.shape[2]
    return torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)


def _quotient(outs: list[Tensor]) -> Tensor:
    out = rearrange(torch.cat(outs, 2), "b h t d -> b t h d")
    return out[..., :-1] / out[..., -1:]


def _relative(q: Tensor, highest: Tensor) -> Tensor:
    """q + highest, the largest of each query's features as 0: large logarithms are subtracted before small ones add."""
    q, highest = (x - x.detach().amax(-1, keepdim=True) for x in (q, highest))
    q = q + highest
    return q - q.detach().amax(-1, keepdim=True)


def _least(logs: Tensor) -> Tensor:
    """-inf, the logarithm of a feature that is 0 in all keys, as a number: from -inf nothing can be subtracted."""
    return logs.clamp(min=torch.finfo(logs.dtype).min / 2)
