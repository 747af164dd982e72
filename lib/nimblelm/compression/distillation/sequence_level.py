"""Sequence-level distillation: the student learns from text that the teacher wrote, as it learns from any text."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nimblelm.compression.distillation.masking import IGNORED


def sequence_targets(
    prompts: Int[Tensor, "B P"], continuations: Int[Tensor, "B N"], eos_token: int | None = None
) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
    """What the student reads and what it is asked: the teacher's tokens, never those of the prompt.

    L_seq = -log q(y | x), y what the teacher wrote after x      (Kim and Rush, 2016, arXiv:1606.07947, section 3.2)

    Args:
        prompts: x, given to the teacher.
        continuations: y, what it wrote.
        eos_token: the first one in a row ends it: it is asked for, what stands behind it is not.

    Returns:
        (tokens, labels), L = P + N - 1: at each position the token that is read and the one that should follow, -100
        where nothing is asked.

    Raises:
        ValueError: the numbers of rows differ, a prompt or a continuation is empty.

    Chapter: book/ch07_distillation
    """
    if len(prompts) != len(continuations):
        raise ValueError(f"{len(prompts)} prompts and {len(continuations)} continuations")
    if not prompts.shape[1] or not continuations.shape[1]:
        raise ValueError(f"{prompts.shape[1]} prompt tokens and {continuations.shape[1]} written: 1 or more is needed")
    whole = torch.cat([prompts, continuations], dim=1)
    labels = whole[:, 1:].long().clone()
    labels[:, : prompts.shape[1] - 1] = IGNORED
    if eos_token is not None:
        ended = (continuations == eos_token).int().cumsum(-1)
        behind = (ended > 0) & ~((ended == 1) & (continuations == eos_token))
        labels[:, prompts.shape[1] - 1 :][behind] = IGNORED
    return whole[:, :-1], labels


def kept_sequences(tokens: Int[Tensor, "N L"], log_probs: Float[Tensor, "N W"], share: float) -> Bool[Tensor, "N"]:
    """A filter: the rows that the teacher found most probable by the token, each text once.

    Args:
        tokens: rows; of equal ones only the first can stay.
        log_probs: the teacher's, of each token that it wrote; nan or -inf where it wrote none.
        share: of the distinct rows, rounded up, that stay: 0 to 1. Of equally probable rows the first stay.

    Returns:
        True for the rows that stay.

    Raises:
        ValueError: the numbers of rows differ, the share is outside [0, 1], log_probs hold no real numbers or one above
            0, or a row holds none.

    Chapter: book/ch07_distillation
    """
    if len(tokens) != len(log_probs):
        raise ValueError(f"{len(tokens)} rows of tokens and {len(log_probs)} of log_probs")
    if not 0 <= share <= 1:
        raise ValueError(f"share {share} is outside [0, 1]")
    if not log_probs.is_floating_point():
        raise ValueError(f"log_probs hold {log_probs.dtype}, real numbers are needed")
    wide = log_probs.double()
    wrote = wide.isfinite()
    if bool((wide > 0).any()) or not bool(wrote.any(1).all()):
        raise ValueError("log_probs must be 0 or less, and each row needs one that is finite")
    means = wide.where(wrote, 0).sum(1) / wrote.sum(1)
    first: dict[tuple[int, ...], int] = {}
    for row, ids in enumerate(tokens.tolist()):
        first.setdefault(tuple(ids), row)
    distinct = torch.tensor(sorted(first.values()), dtype=torch.long)
    best = means[distinct].argsort(descending=True, stable=True)[: math.ceil(share * len(distinct))]
    kept = torch.zeros(len(tokens), dtype=torch.bool)
    kept[distinct[best]] = True
    return kept
