"""Attention in float64, with every score in memory: the oracle of all flash kernels."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nimblelm.kernels.shapes import check_attention, check_mask, check_sizes


def attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    causal: bool = False,
    scale: float | None = None,
    visible: Bool[Tensor, "#B #H Sq Sk"] | None = None,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """Softmax attention and the logarithm of each softmax's denominator, in float64.

    O = softmax(S) V, L = log sum_j exp(S_j), S = scale Q K^T      (Vaswani et al., 2017, arXiv:1706.03762, eq. 1)

    Args:
        q: queries; H / Hkv of them share one key-value head.
        k, v: keys and values.
        causal: query i sees only the keys j <= i + Sk - Sq, so that the last query sees all.
        scale: factor of the scores, 1 / sqrt(D) by default.
        visible: where given, query i sees key j only where it is true.

    Returns:
        (out, lse), both float64. A query that sees no key gives 0 and -inf.

    Raises:
        ValueError: q, k, v or visible do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q.double(), k.double(), v.double())
    scores = _scores(q, k, causal, scale, visible)  # (B, H, Sq, Sk)
    lse = scores.logsumexp(-1)
    out = torch.einsum("bhij,bjhd->bihd", _probabilities(scores, lse), _repeat(v, q))
    return out, lse


def attention_gradients(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    dout: Float[Tensor, "B Sq H D"],
    causal: bool = False,
    scale: float | None = None,
    visible: Bool[Tensor, "#B #H Sq Sk"] | None = None,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B Sk Hkv D"], Float[Tensor, "B Sk Hkv D"]]:
    """Gradients of `attention`'s output, in float64, by the formulae that the backward kernels use.

    P = exp(S - L), dV = P^T dO, dP = dO V^T, dS = P * (dP - rowsum(dO * O)), dQ = scale dS K, dK = scale dS^T Q
    (Dao et al., 2022, arXiv:2205.14135, appendix B.2).

    Args:
        q, k, v, causal, scale, visible: as in `attention`.
        dout: gradient of the loss by the output, dO.

    Returns:
        (dq, dk, dv), float64.

    Raises:
        ValueError: q, k, v, dout or visible do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q.double(), k.double(), v.double())
    check_sizes(q=(q, "B Sq H D"), dout=(dout, "B Sq H D"))
    scores = _scores(q, k, causal, scale, visible)
    p = _probabilities(scores, scores.logsumexp(-1))  # (B, H, Sq, Sk)
    keys, values, dout = _repeat(k, q), _repeat(v, q), dout.double()
    dp = torch.einsum("bihd,bjhd->bhij", dout, values)
    ds = p * (dp - (p * dp).sum(-1, keepdim=True)) * _scale(q, scale)  # rowsum(P * dP) = rowsum(dO * O)
    dq = torch.einsum("bhij,bjhd->bihd", ds, keys)
    dk = torch.einsum("bhij,bihd->bjhd", ds, q.double())
    dv = torch.einsum("bhij,bihd->bjhd", p, dout)
    heads = k.shape[2]
    return dq, dk.unflatten(2, (heads, -1)).sum(3), dv.unflatten(2, (heads, -1)).sum(3)


def _scale(q: Tensor, scale: float | None) -> float:
    return q.shape[-1] ** -0.5 if scale is None else scale


def _repeat(x: Tensor, q: Tensor) -> Tensor:
    """Keys or values in float64, once for each query head."""
    return x.double().repeat_interleave(q.shape[2] // x.shape[2], dim=2)


def _scores(q: Tensor, k: Tensor, causal: bool, scale: float | None, visible: Tensor | None) -> Tensor:
    scores = torch.einsum("bihd,bjhd->bhij", q.double(), _repeat(k, q)) * _scale(q, scale)
    if causal:
        rows, columns = scores.shape[-2:]
        seen = torch.ones(rows, columns, dtype=torch.bool, device=q.device).tril(columns - rows)
        scores = scores.masked_fill(~seen, float("-inf"))
    if visible is not None:
        check_mask(visible, "visible", q, q.shape[1], k.shape[1])
        scores = scores.masked_fill(~visible, float("-inf"))
    return scores


def _probabilities(scores: Tensor, lse: Tensor) -> Tensor:
    """exp(S - L), with 0 for -inf minus -inf."""
    return (scores - lse.clamp_min(torch.finfo(lse.dtype).min)[..., None]).exp()
