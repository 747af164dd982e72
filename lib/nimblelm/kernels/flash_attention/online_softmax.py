"""Softmax attention by pieces: what is kept of the keys seen so far, how one more tile joins, how two parts merge."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class SoftmaxState(NamedTuple):
    """What a row of queries keeps of the keys that it has seen: enough to go on, and to finish at any time.

    m = max_j S_j, l = sum_j exp(S_j - m), a = sum_j exp(S_j - m) V_j      (Milakov and Gimelshein, 2018,
    arXiv:1805.02867, algorithm 3; Dao et al., 2022, arXiv:2205.14135, section 3.1)

    Args:
        highest: m, (..., R) for R rows; -inf where a row has seen no key.
        total: l, (..., R).
        weighted: a, (..., R, D).

    Chapter: book/ch04_flash_attention
    """

    highest: Tensor
    total: Tensor
    weighted: Tensor


def no_keys_yet(like: Float[Tensor, "... R D"]) -> SoftmaxState:
    """The state before the first tile, for rows and values as wide as `like` is.

    Chapter: book/ch04_flash_attention
    """
    total = torch.zeros_like(like[..., 0])
    return SoftmaxState(torch.full_like(total, float("-inf")), total, torch.zeros_like(like))


def absorb(state: SoftmaxState, scores: Float[Tensor, "... R N"], values: Float[Tensor, "... N D"]) -> SoftmaxState:
    """The state after one more tile of N keys.

    m' = max(m, rowmax S), l' = exp(m - m') l + rowsum exp(S - m'), a' = exp(m - m') a + exp(S - m') V
    (Dao et al., 2022, arXiv:2205.14135, algorithm 1, lines 10 to 12).

    Args:
        scores: of the rows with the tile's keys; -inf where a row may not see a key.
        values: the tile's values.

    Chapter: book/ch04_flash_attention
    """
    before, total, weighted = state
    highest = torch.maximum(before, scores.amax(-1))
    base = highest.masked_fill(highest == float("-inf"), 0.0)  # a row that has seen no key yet: -inf minus -inf is nan
    shrink = (before - base).exp()  # earlier terms were taken relative to a smaller maximum
    weights = (scores - base[..., None]).exp()
    return SoftmaxState(highest, total * shrink + weights.sum(-1), weighted * shrink[..., None] + weights @ values)


def finish(state: SoftmaxState) -> tuple[Float[Tensor, "... R D"], Float[Tensor, "... R"]]:
    """The output and the log-sum-exp of all keys seen: O = a / l, L = m + log l.

    Returns:
        (out, lse); 0 and -inf for a row that has seen no key.

    Chapter: book/ch04_flash_attention
    """
    highest, total, weighted = state
    divisor = total.masked_fill(total == 0.0, 1.0)
    return weighted / divisor[..., None], highest + divisor.log()


def merge_parts(
    outs: Float[Tensor, "P ... R D"], lses: Float[Tensor, "P ... R"]
) -> tuple[Float[Tensor, "... R D"], Float[Tensor, "... R"]]:
    """Attention over all keys, from P finished results over disjoint parts of them.

    L = log sum_p exp(L_p), O = sum_p exp(L_p - L) O_p, since exp(L_p) is part p's denominator
    (Dao, 2023, arXiv:2307.08691, section 3.1.1, with the statistics of one part kept as L_p).

    Returns:
        (out, lse). A part that saw no key (0 and -inf) changes nothing; where no part saw one, 0 and -inf.

    Chapter: book/ch04_flash_attention
    """
    lse = lses.logsumexp(0)
    shares = (lses - lse.masked_fill(lse == float("-inf"), 0.0)).exp()  # each part's share of the whole denominator
    return (shares[..., None] * outs).sum(0), lse
