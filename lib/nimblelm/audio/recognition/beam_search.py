"""Prefix beam search: the likeliest transcripts of a CTC trellis, with a language model beside it, frame by frame."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.recognition.ctc import check_log_probs
from nimblelm.audio.recognition.vocabulary import BLANK

NEVER = -math.inf
LanguageModel = Callable[[tuple[int, ...]], Sequence[float]]
"""Labels so far -> log-probabilities of the next; at the blank's index that of the end."""


@dataclass(frozen=True)
class BeamConfig:
    """How wide is searched, and what counts.

    score = log p(labels | sound) + alpha log p_LM(labels) + bonus L       (Hannun et al., 2014, arXiv:1408.2873, eq. 9)

    Raises:
        ValueError: a width below 1, or a number that is not finite.
    """

    width: int = 16  # prefixes that are kept after each frame
    alpha: float = 0.0  # weight of the language model; 0 asks it nothing
    bonus: float = 0.0  # for each label: a language model likes short transcripts
    min_log_prob: float = -12.0  # labels below that in a frame do not extend a prefix
    blank: int = BLANK

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"width {self.width} must be 1 or more")
        numbers = (self.alpha, self.bonus, self.min_log_prob)
        if not all(map(math.isfinite, numbers)) or self.min_log_prob >= 0:
            raise ValueError(f"alpha, bonus and min_log_prob {numbers} must be finite, the last below 0")


class Hypothesis(NamedTuple):
    """A transcript and what speaks for it."""

    labels: tuple[int, ...]
    score: float  # what the search ranks by
    acoustic: float  # log p(labels | sound)
    language: float  # log p_LM(labels), the end included; 0 where no model was asked


class _Prefix(NamedTuple):
    """The paths that collapse to one prefix."""

    blank: float  # log p of those that end in a blank
    label: float  # log p of those that end in the prefix's last label
    language: float  # log p_LM of the prefix


@dataclass
class BeamState:
    """What a stream carries from one chunk of frames to the next."""

    prefixes: dict[tuple[int, ...], _Prefix] = field(default_factory=lambda: {(): _Prefix(0.0, NEVER, 0.0)})
    num_frames: int = 0

    def settled(self) -> tuple[int, ...]:
        """The labels that all prefixes share: what a caption may show for good."""
        first, *others = self.prefixes
        length = 0
        while length < len(first) and all(other[: length + 1] == first[: length + 1] for other in others):
            length += 1
        return first[:length]


def advance(
    state: BeamState, log_probs: Float[Tensor, "T V"], config: BeamConfig, model: LanguageModel | None = None
) -> None:
    """Read frames into a state: one after the other, so chunks of any sizes give what all at once gives.

    A prefix l grows by c in three ways: a blank keeps l, its last label again keeps l too (unless a blank is between),
    any label makes l + c      (Hannun et al., 2014, arXiv:1408.2873, algorithm 1)

    Args:
        state: is changed.
        log_probs: of the next frames.
        config: of the whole search.
        model: asked for every new prefix where `config.alpha` is not 0.

    Raises:
        ValueError: as `ctc_trellis`; alpha is not 0 and there is no model.

    Chapter: book/ch16_speech_recognition
    """
    check_log_probs(log_probs, (), config.blank)
    if config.alpha and model is None:
        raise ValueError(f"alpha {config.alpha} weighs a language model, and there is none")
    for row in log_probs.tolist():
        state.prefixes = _one_frame(state.prefixes, row, config, model)
        state.num_frames += 1


def _one_frame(
    prefixes: dict[tuple[int, ...], _Prefix], row: list[float], config: BeamConfig, model: LanguageModel | None
) -> dict[tuple[int, ...], _Prefix]:
    grown: dict[tuple[int, ...], list[float]] = {}  # prefix -> log p ending in a blank, in a label; log p_LM
    for prefix, (blank, label, language) in prefixes.items():
        entry = grown.setdefault(prefix, [NEVER, NEVER, language])
        both = _added(blank, label)
        entry[0] = _added(entry[0], both + row[config.blank])
        if prefix:
            entry[1] = _added(entry[1], label + row[prefix[-1]])
    candidates = [c for c, p in enumerate(row) if p >= config.min_log_prob and c != config.blank]
    for prefix, (blank, label, language) in prefixes.items():
        both, following = _added(blank, label), None
        for c in candidates:
            start = blank if prefix and c == prefix[-1] else both  # the same label again needs a blank between
            if start == NEVER:
                continue
            longer = (*prefix, c)
            entry = grown.get(longer)
            if entry is None:
                if config.alpha and model is not None:
                    following = model(prefix) if following is None else following
                    entry = [NEVER, NEVER, language + following[c]]
                else:
                    entry = [NEVER, NEVER, 0.0]
                grown[longer] = entry
            entry[1] = _added(entry[1], start + row[c])
    ranked = sorted(((_score(p, e, config), p) for p, e in grown.items()), key=lambda one: (-one[0], one[1]))
    return {prefix: _Prefix(*grown[prefix]) for _, prefix in ranked[: config.width]}


def _score(prefix: tuple[int, ...], entry: Sequence[float], config: BeamConfig) -> float:
    fused = config.alpha * entry[2] if config.alpha else 0.0
    return _added(entry[0], entry[1]) + fused + config.bonus * len(prefix)


def _added(a: float, b: float) -> float:
    """log(e^a + e^b)"""
    if a < b:
        a, b = b, a
    return a if b == NEVER else a + math.log1p(math.exp(b - a))


def hypotheses(state: BeamState, config: BeamConfig, model: LanguageModel | None = None) -> list[Hypothesis]:
    """The transcripts of a state, the best first; a language model also says how likely each ends here.

    Chapter: book/ch16_speech_recognition
    """
    found = []
    for prefix, entry in state.prefixes.items():
        language = entry.language + model(prefix)[config.blank] if config.alpha and model is not None else 0.0
        score = _score(prefix, [entry.blank, entry.label, language], config)
        found.append(Hypothesis(prefix, score, _added(entry.blank, entry.label), language))
    return sorted(found, key=lambda one: (-one.score, one.labels))


def prefix_beam_search(
    log_probs: Float[Tensor, "T V"], config: BeamConfig, model: LanguageModel | None = None
) -> list[Hypothesis]:
    """Up to `width` transcripts of an utterance, the best first.

    Sums all paths of a prefix, so that with a beam that never drops one `acoustic` is the exact log p(labels | sound),
    where `best_path` follows a single path.

    Raises:
        ValueError: as `advance`.

    Chapter: book/ch16_speech_recognition
    """
    state = BeamState()
    advance(state, log_probs, config, model)
    return hypotheses(state, config, model)
