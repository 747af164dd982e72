"""N-best rescoring: a model that is too slow for the search reads the search's best transcripts, and ranks them."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.audio.recognition.beam_search import Hypothesis, LanguageModel
from nimblelm.audio.recognition.vocabulary import BLANK


def sentence_log_prob(model: LanguageModel, labels: tuple[int, ...], blank: int = BLANK) -> float:
    """log p_LM of a whole transcript, its end included.

    Chapter: book/ch16_speech_recognition
    """
    steps = (model(labels[:i])[label] for i, label in enumerate(labels))
    return sum(steps) + model(labels)[blank]


def rescored(
    found: Sequence[Hypothesis], model: LanguageModel, weight: float, length_bonus: float = 0.0, blank: int = BLANK
) -> list[Hypothesis]:
    """The same transcripts in another order.

    score = log p(labels | sound) + weight log p_LM(labels) + bonus L

    What is not among the n best cannot be found any more: the oracle error of the list is the limit.

    Args:
        found: what a beam search gave.
        model: reads each transcript once.
        weight: of its logarithm.
        length_bonus: for each label; every label costs probability, so that without it the shortest wins.
        blank: where the model's answers have the end.

    Raises:
        ValueError: weight or length_bonus is not finite.

    Chapter: book/ch16_speech_recognition
    """
    if not (math.isfinite(weight) and math.isfinite(length_bonus)):
        raise ValueError(f"weight {weight} and length_bonus {length_bonus} must be finite")
    again = []
    for one in found:
        language = sentence_log_prob(model, one.labels, blank)
        fused = weight * language if weight else 0.0  # 0 times minus infinity is not 0
        score = one.acoustic + fused + length_bonus * len(one.labels)
        again.append(Hypothesis(one.labels, score, one.acoustic, language))
    return sorted(again, key=lambda one: (-one.score, one.labels))


def pseudo_log_prob(
    model: Callable[[Int[Tensor, "B T"]], Float[Tensor, "B T V"]],
    tokens: Int[Tensor, "T"],
    mask: int,
    special: Sequence[int] = (),
) -> float:
    """How well a bidirectional model such as BERT likes a text: every token hidden once, and guessed from the others.

    PLL(w) = sum over t of log p(w_t | all others)          (Salazar et al., 2020, arXiv:1910.14659, eq. 1)

    No probability of the text, yet a score to rank by; a pass over T copies, where a left-to-right model needs one.

    Args:
        model: gives logits, such as `nimblelm.language.bert.Bert`.
        tokens: of one text.
        mask: the mask token.
        special: tokens that are not hidden, such as those that begin and end a text.

    Chapter: book/ch16_speech_recognition
    """
    places = [i for i, token in enumerate(tokens.tolist()) if token not in special]
    if not places:
        return 0.0
    hidden = tokens.long().repeat(len(places), 1)
    hidden[torch.arange(len(places)), torch.tensor(places)] = mask
    log_probs = model(hidden).log_softmax(-1)
    return sum(log_probs[row, at, tokens[at]].item() for row, at in enumerate(places))


def label_errors(found: Sequence, wanted: Sequence) -> int:
    """Insertions, deletions and substitutions that turn one sequence into the other (Levenshtein, 1966).

    Divided by the length of `wanted` over a whole test it is the word error rate.

    Chapter: book/ch16_speech_recognition
    """
    row = list(range(len(wanted) + 1))
    for i, x in enumerate(found, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(wanted, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
