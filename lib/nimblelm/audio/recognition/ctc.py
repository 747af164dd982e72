"""Connectionist temporal classification: the probability of a transcript whose timing nobody wrote down."""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.recognition.vocabulary import BLANK


class Trellis(NamedTuple):
    """Every way to say a transcript, summed up at every frame and every state.

    The S = 2 L + 1 states are the labels with a blank before, between and behind.
    """

    alpha: Float[Tensor, "T S"]  # log p of all beginnings that are in state s at frame t, the frame's label included
    beta: Float[Tensor, "T S"]  # log p of all ends from there on, the frame's label not included
    log_prob: float  # log p(labels | sound)

    @property
    def occupancy(self) -> Float[Tensor, "T S"]:
        """p(state s at frame t | labels, sound); every row adds up to 1, or to nan where no path fits."""
        return (self.alpha + self.beta - self.log_prob).exp()


def collapse(path: Sequence[int], blank: int = BLANK) -> list[int]:
    """The transcript of a path: repeats are merged first, then blanks are dropped.

    (Graves et al., 2006, "Connectionist temporal classification", section 3.1, the map B)

    Chapter: book/ch16_speech_recognition
    """
    return [label for label, _ in groupby(path) if label != blank]


def best_path(log_probs: Float[Tensor, "T V"], blank: int = BLANK) -> list[int]:
    """The collapsed path of the likeliest label of each frame; not always the likeliest transcript.

    Raises:
        ValueError: as `ctc_trellis`.

    Chapter: book/ch16_speech_recognition
    """
    check_log_probs(log_probs, (), blank)
    return collapse(log_probs.argmax(-1).tolist(), blank)


def with_blanks(labels: Sequence[int], blank: int = BLANK) -> list[int]:
    """The states of the trellis: blank, l_1, blank, l_2, ..., l_L, blank."""
    return [blank, *(one for label in labels for one in (label, blank))]


def ctc_trellis(log_probs: Float[Tensor, "T V"], labels: Sequence[int], blank: int = BLANK) -> Trellis:
    """Forward and backward variables of every path that collapses to the labels.

    alpha_t(s) = (alpha_(t-1)(s) + alpha_(t-1)(s-1) [+ alpha_(t-1)(s-2) where l'_s is a label other than l'_(s-2)])
                 y_t(l'_s)
    (Graves et al., 2006, eqs. 6 and 7; beta backwards, eqs. 10 and 11, here without y_t, so that alpha beta is a
    probability.) In logarithms, since products of hundreds of probabilities vanish.

    Args:
        log_probs: log y, each row log-probabilities of all labels.
        labels: the transcript, without blanks; may be empty.
        blank: index of the blank.

    Raises:
        ValueError: log_probs are not (T, V) in float32 or float64, hold nan, or a label is the blank or outside.

    Chapter: book/ch16_speech_recognition
    """
    check_log_probs(log_probs, labels, blank)
    states = torch.tensor(with_blanks(labels, blank))
    emitted = log_probs[:, states]  # (T, S)
    skips = torch.zeros(len(states), dtype=torch.bool)  # whether s - 2 leads to s
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    alpha, beta = torch.full_like(emitted, -math.inf), torch.full_like(emitted, -math.inf)
    alpha[0, :2], beta[-1, -2:] = emitted[0, :2], 0.0
    for t in range(1, len(emitted)):
        alpha[t] = _arrived(alpha[t - 1], skips) + emitted[t]
    leaving = skips.roll(-2).flip(0)  # the same walk, from the end
    for t in range(len(emitted) - 2, -1, -1):
        beta[t] = _arrived((beta[t + 1] + emitted[t + 1]).flip(0), leaving).flip(0)
    return Trellis(alpha, beta, alpha[-1, -2:].logsumexp(0).item())


def _arrived(before: Tensor, skips: Tensor) -> Tensor:
    """log-sum over staying, one step and, where that is allowed, two."""
    never = before.new_full((2,), -math.inf)
    shifted = torch.cat([never, before])
    two = torch.where(skips, shifted[:-2], -math.inf)
    return torch.stack([before, shifted[1:-1], two]).logsumexp(0)


def ctc_loss(log_probs: Float[Tensor, "T V"], labels: Sequence[int], blank: int = BLANK) -> float:
    """-log p(labels | sound), infinite where T frames are too few for the labels.

    Repeated labels need a blank between, so L labels with R repeats need L + R frames.

    Raises:
        ValueError: as `ctc_trellis`.

    Chapter: book/ch16_speech_recognition
    """
    return -ctc_trellis(log_probs, labels, blank).log_prob


def ctc_gradient(log_probs: Float[Tensor, "T V"], labels: Sequence[int], blank: int = BLANK) -> Float[Tensor, "T V"]:
    """The derivative of the loss by the logits before the softmax: what the network says less what it should.

    dL/da_t(k) = y_t(k) - sum over s with l'_s = k of p(s at t | labels)          (Graves et al., 2006, eq. 16)

    Raises:
        ValueError: as `ctc_trellis`, or no path of T frames gives the labels.

    Chapter: book/ch16_speech_recognition
    """
    trellis = ctc_trellis(log_probs, labels, blank)
    if trellis.log_prob == -math.inf:
        raise ValueError(f"no path of {len(log_probs)} frames gives {len(labels)} labels: the loss is infinite")
    states = torch.tensor(with_blanks(labels, blank))
    wanted = torch.zeros_like(log_probs).index_add_(1, states, trellis.occupancy)
    return log_probs.exp() - wanted


def ctc_align(log_probs: Float[Tensor, "T V"], labels: Sequence[int], blank: int = BLANK) -> list[tuple[int, int]]:
    """First frame of each label, and first after it, on the likeliest path: forced alignment.

    The trellis with the maximum instead of the sum (Viterbi). CTC is free to say a label in any frame of a word, and
    mostly says it in one or two: the times are where a word was recognised, not where it begins.

    Raises:
        ValueError: as `ctc_gradient`.

    Chapter: book/ch16_speech_recognition
    """
    check_log_probs(log_probs, labels, blank)
    states = with_blanks(labels, blank)
    emitted = log_probs[:, torch.tensor(states)].double()
    skips = torch.tensor([s > 1 and states[s] != blank and states[s] != states[s - 2] for s in range(len(states))])
    best, came = emitted[0].clone(), []
    best[2:] = -math.inf
    for row in emitted[1:]:
        shifted = torch.cat([best.new_full((2,), -math.inf), best])
        steps = torch.stack([best, shifted[1:-1], torch.where(skips, shifted[:-2], -math.inf)])
        best, step = steps.max(0)
        best = best + row
        came.append(step)
    state = len(states) - 1 if best[-1] >= best[-2:][0] else len(states) - 2
    if best[state] == -math.inf:
        raise ValueError(f"no path of {len(log_probs)} frames gives {len(labels)} labels: the loss is infinite")
    path = [state]
    for step in reversed(came):
        path.append(path[-1] - int(step[path[-1]]))
    path.reverse()
    found: dict[int, tuple[int, int]] = {}
    for frame, state in enumerate(path):
        if state % 2:
            found[state] = (found.get(state, (frame, 0))[0], frame + 1)
    return [found[2 * i + 1] for i in range(len(labels))]


def repeats(labels: Sequence[int]) -> int:
    """How many labels follow an equal one: each needs a blank before it."""
    return sum(a == b for a, b in pairwise(labels))


def check_log_probs(log_probs: Tensor, labels: Sequence[int], blank: int) -> None:
    """Raise ValueError where a decoder cannot read log_probs, or labels are not among them."""
    if log_probs.dtype not in (torch.float32, torch.float64) or log_probs.dim() != 2 or not len(log_probs):
        raise ValueError(
            f"log_probs {tuple(log_probs.shape)} in {log_probs.dtype}: float32 or float64 (T, V) is needed"
        )
    if not log_probs.amax() <= 1e-3:  # also false for nan
        raise ValueError("log_probs hold nan or numbers above 0: they must be logarithms of probabilities")
    size = log_probs.shape[1]
    if not 0 <= blank < size or any(not 0 <= label < size or label == blank for label in labels):
        raise ValueError(f"labels {list(labels)} and blank {blank} must be within 0 .. {size - 1}, no label the blank")
