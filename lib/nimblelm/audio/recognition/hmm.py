"""How speech was recognised until about 2012: a hidden Markov model of every word, an n-gram between them, Viterbi."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.recognition.beam_search import LanguageModel
from nimblelm.audio.recognition.vocabulary import BLANK

LEAST_VARIANCE = 0.05  # of features whose variance is about 1: a state that saw few frames would be too sure


class Gaussians(NamedTuple):
    """Diagonal Gaussians, one for each state."""

    mean: Float[Tensor, "*states D"]
    variance: Float[Tensor, "*states D"]


def viterbi(
    start: Float[Tensor, "S"], transition: Float[Tensor, "_ _"], emission: Float[Tensor, "T _"]
) -> tuple[list[int], float]:
    """The likeliest sequence of hidden states, and its log-probability.

    delta_t(j) = max over i of (delta_(t-1)(i) + log a_ij) + log b_j(o_t)      (Rabiner, 1989, "A tutorial on hidden
    Markov models", eqs. 32 to 35, in logarithms)

    Args:
        start: log-probability of beginning in each state.
        transition: (S, S), row i, column j: log-probability of going from i to j.
        emission: (T, S), log-likelihood of each frame in each state.

    Raises:
        ValueError: shapes that do not fit, no frames, nan, or half precision.

    Chapter: book/ch16_speech_recognition
    """
    size = len(start)
    if transition.shape != (size, size) or emission.dim() != 2 or emission.shape[1] != size or not len(emission):
        raise ValueError(
            f"start {tuple(start.shape)}, transition {tuple(transition.shape)} and emission {tuple(emission.shape)} do "
            "not fit, or there are no frames"
        )
    dtypes = {start.dtype, transition.dtype, emission.dtype}
    if not dtypes <= {torch.float32, torch.float64} or any(x.isnan().any() for x in (start, transition, emission)):
        raise ValueError(f"start, transition and emission in {dtypes}: float32 or float64 without nan are needed")
    delta, came = (start + emission[0]).double(), []
    for row in emission[1:].double():
        best, source = (delta[:, None] + transition).max(0)
        delta = best + row
        came.append(source)
    state = int(delta.argmax())
    score, path = delta[state].item(), [state]
    for source in reversed(came):
        path.append(int(source[path[-1]]))
    return path[::-1], score


def log_density(features: Float[Tensor, "T D"], states: Gaussians) -> Float[Tensor, "T S"]:
    """log N(x; mean, variance) of every frame in every state.

    Raises:
        ValueError: widths that differ, or a variance that is not above 0.

    Chapter: book/ch16_speech_recognition
    """
    mean, variance = states.mean.flatten(0, -2), states.variance.flatten(0, -2)
    if mean.shape != variance.shape or features.shape[-1] != mean.shape[-1] or not variance.amin() > 0:
        raise ValueError(
            f"features {tuple(features.shape)}, mean {tuple(mean.shape)} and variance {tuple(variance.shape)}, which "
            "must be above 0, do not fit"
        )
    x, mean, variance = features.double(), mean.double(), variance.double()
    distance = (x.square() @ (1 / variance).T) - 2 * x @ (mean / variance).T + (mean.square() / variance).sum(-1)
    return (-0.5 * (distance + (2 * math.pi * variance).log().sum(-1))).to(features.dtype)


def fitted(takes: Sequence[Float[Tensor, "_ D"]], num_states: int, rounds: int = 3) -> Gaussians:
    """States of one word, left to right: cut each take evenly, fit, align by Viterbi, fit again (segmental k-means).

    (Juang and Rabiner, 1990, "The segmental k-means algorithm for estimating parameters of hidden Markov models")

    Args:
        takes: features of the word as several speakers say it, each at least num_states frames.
        num_states: of the word.
        rounds: alignments after the first.

    Raises:
        ValueError: no takes, one that is too short, or no states.

    Chapter: book/ch16_speech_recognition
    """
    if num_states < 1 or not takes or min(map(len, takes)) < num_states:
        raise ValueError(f"{len(takes)} takes need {num_states} frames or more each, and 1 state or more")
    cuts = [torch.arange(len(take)) * num_states // len(take) for take in takes]
    together, states = torch.cat(list(takes)), _of_cuts(torch.cat(list(takes)), torch.cat(cuts), num_states)
    step = torch.full((num_states, num_states), -math.inf, dtype=together.dtype)
    step.fill_diagonal_(math.log(0.5)).diagonal(1).fill_(math.log(0.5))
    start = torch.full((num_states,), -math.inf, dtype=together.dtype)
    start[0] = 0.0
    for _ in range(rounds):
        cuts = []
        for take in takes:
            emission = log_density(take, states)
            emission[-1, :-1] = -math.inf  # a word ends in its last state
            cuts.append(torch.tensor(viterbi(start, step, emission)[0]))
        states = _of_cuts(together, torch.cat(cuts), num_states)
    return states


def _of_cuts(frames: Tensor, state_of: Tensor, num_states: int) -> Gaussians:
    parts = [frames[state_of == k] for k in range(num_states)]
    variance = torch.stack([part.var(0, correction=0) for part in parts]).clamp(min=LEAST_VARIANCE)
    return Gaussians(torch.stack([part.mean(0) for part in parts]), variance)


class HMMRecogniser:
    """Words from left to right, silence between them, and how likely a word follows another.

    Every word has its states and a silence of its own behind them, so that the silence does not forget which word it
    follows. score = log p(sound | states) + lm_weight log p(word | word before) + bonus for each word

    Args:
        words: states of every word, (W, n, D).
        silence: one state.
        model: labels so far -> log-probabilities of the next; a bigram, asked for pairs. Word w is label w + 1.
        lm_weight: of its logarithm: neighbouring frames are no independent witnesses, though the model takes them so.
        bonus: for each word.

    Raises:
        ValueError: lm_weight or bonus is not finite.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(
        self, words: Gaussians, silence: Gaussians, model: LanguageModel, lm_weight: float = 5.0, bonus: float = 0.0
    ):
        if not (math.isfinite(lm_weight) and math.isfinite(bonus)):
            raise ValueError(f"lm_weight {lm_weight} and bonus {bonus} must be finite")
        count, length, _ = words.mean.shape
        parts = zip(words, silence, strict=True)
        self.states, self.length = Gaussians(*(torch.cat([w.flatten(0, 1), s]) for w, s in parts)), length
        size = count * (length + 1) + 1  # the last: silence before the first word
        entry = torch.arange(count) * (length + 1)
        table = torch.full((size, size), -math.inf, dtype=torch.float64)
        table.fill_diagonal_(math.log(0.7))
        for w in range(count):
            first, last = w * (length + 1), w * (length + 1) + length - 1
            for state in range(first, last + 1):
                table[state, state + 1] = math.log(0.3)  # behind the last state: the word's silence
            following = torch.tensor([lm_weight * p + bonus for p in model((w + 1,))[1 : count + 1]]).double()
            table[last, entry] = torch.logaddexp(table[last, entry], math.log(0.3) + following)
            table[last + 1, entry] = math.log(0.3) + following
        first_words = torch.tensor([lm_weight * p + bonus for p in model(())[1 : count + 1]]).double()
        table[-1, entry] = math.log(0.3) + first_words
        self.transition, self.start = table, torch.full((size,), -math.inf, dtype=torch.float64)
        self.start[-1] = 0.0
        within = torch.arange(count * length).view(count, length)
        shared = torch.full((count, 1), count * length)
        self.density_of = torch.cat([torch.cat([within, shared], 1).flatten(), shared[0]])  # state -> which Gaussian

    def __call__(self, features: Float[Tensor, "T D"]) -> list[int]:
        """Labels of the likeliest words.

        Raises:
            ValueError: as `log_density`.
        """
        emission = log_density(features, self.states)[:, self.density_of]
        path, _ = viterbi(self.start, self.transition, emission.double())
        block, found, before = self.length + 1, [], len(self.start) - 1
        for state in path:
            if state % block == 0 and state < len(self.start) - 1 and (state != before):
                found.append(state // block + 1)
            before = state
        assert BLANK not in found
        return found
