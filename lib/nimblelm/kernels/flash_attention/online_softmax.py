"""Softmax attention by pieces: what is kept of the keys seen so far, how one more tile joins, how two parts merge."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_dtype_and_device, check_fit


class SoftmaxState(NamedTuple):
    """What a row of queries keeps of the keys that it has seen: enough to go on, and to finish at any time.

    m = max_j S_j, l = sum_j exp(S_j - m), acc = sum_j exp(S_j - m) V_j      (Milakov and Gimelshein, 2018,
    arXiv:1805.02867, algorithm 3; Dao et al., 2022, arXiv:2205.14135, section 3.1)

    Args:
        m_i: m, (..., R) for R rows; -inf where a row has seen no key.
        l_i: l, (..., R).
        acc: (..., R, D).

    Chapter: book/ch04_flash_attention
    """

    m_i: Tensor
    l_i: Tensor
    acc: Tensor


def no_keys_yet(like: Float[Tensor, "... R D"]) -> SoftmaxState:
    """The state before the first tile, for rows and values as wide as `like` is.

    Chapter: book/ch04_flash_attention
    """
    l_i = torch.zeros_like(like[..., 0])
    return SoftmaxState(torch.full_like(l_i, float("-inf")), l_i, torch.zeros_like(like))


def absorb(state: SoftmaxState, scores: Float[Tensor, "... R N"], values: Float[Tensor, "... N D"]) -> SoftmaxState:
    """The state after one more tile of N keys.

    m' = max(m, rowmax S), l' = exp(m - m') l + rowsum exp(S - m'), acc' = exp(m - m') acc + exp(S - m') V
    (Dao et al., 2022, arXiv:2205.14135, algorithm 1, lines 10 to 12).

    Args:
        scores: of the rows with the tile's keys; -inf where a row may not see a key.
        values: the tile's values.

    Raises:
        ValueError: scores, values and state do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    before, l_i, acc = state
    check_fit(scores=(scores, "... N"), m=(before, "..."), l=(l_i, "..."), acc=(acc, "... D"))
    if scores.shape[-1:] != values.shape[-2:-1] or values.shape[-1:] != acc.shape[-1:]:
        raise ValueError(f"values {tuple(values.shape)} fit neither scores {tuple(scores.shape)} nor the state")
    check_dtype_and_device(scores=scores, values=values)
    m_i = torch.maximum(before, scores.amax(-1))
    base = m_i.masked_fill(m_i == float("-inf"), 0.0)  # a row that has seen no key yet: -inf minus -inf is nan
    alpha = (before - base).exp()  # earlier terms were taken relative to a smaller maximum
    weights = (scores - base[..., None]).exp()
    return SoftmaxState(m_i, l_i * alpha + weights.sum(-1), acc * alpha[..., None] + weights @ values)


def finish(state: SoftmaxState) -> tuple[Float[Tensor, "... R D"], Float[Tensor, "... R"]]:
    """The output and the log-sum-exp of all keys seen: O = acc / l, L = m + log l.

    Returns:
        (out, lse); 0 and -inf for a row that has seen no key.

    Chapter: book/ch04_flash_attention
    """
    m_i, l_i, acc = state
    divisor = l_i.masked_fill(l_i == 0.0, 1.0)
    return acc / divisor[..., None], m_i + divisor.log()


def merge_parts(
    outs: Float[Tensor, "P ... R D"], lses: Float[Tensor, "P ... R"]
) -> tuple[Float[Tensor, "... R D"], Float[Tensor, "... R"]]:
    """Attention over all keys, from P finished results over disjoint parts of them.

    L = log sum_p exp(L_p), O = sum_p exp(L_p - L) O_p, since exp(L_p) is part p's denominator
    (Dao, 2023, arXiv:2307.08691, section 3.1.1, with the statistics of one part kept as L_p).

    Returns:
        (out, lse). A part that saw no key (0 and -inf) changes nothing; where no part saw one, 0 and -inf.

    Raises:
        ValueError: the parts do not fit each other.

    Chapter: book/ch04_flash_attention
    """
    check_fit(outs=(outs, "P ... D"), lses=(lses, "P ..."))
    lse = lses.logsumexp(0)
    shares = lses.masked_fill(lse == float("-inf"), 0.0).softmax(0)  # each part's share of the whole denominator
    return (shares[..., None] * outs).sum(0), lse
