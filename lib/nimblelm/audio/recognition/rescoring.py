"""N-best rescoring: a model that is too slow for the search reads the search's best transcripts, and ranks them."""

import math
from collections.abc import Sequence

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
