"""n-gram language models: counts, with a share of each given to what was not seen; mixtures; whole words by letters."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

END = 0  # index of the end in what a model answers; of the start, before the first label, in contexts
Model = Callable[[tuple[int, ...]], Sequence[float]]  # labels so far -> log p of the next


class NGram:
    """Interpolated Kneser-Ney.

    p(w | h) = max(c(h w) - D, 0) / c(h) + D N(h) / c(h) p(w | h'), N(h) the number of different words after h, h' the
    context without its first word. Below the highest order c(h w) is the number of different words before h w
    (Kneser and Ney, 1995; Chen and Goodman, 1999, section 3). The last resort is uniform.

    Args:
        sentences: of labels from 1 on.
        order: words that a count spans, 1 or more.
        vocab_size: labels with `END`.
        discount: D.

    Raises:
        ValueError: an order below 1, a discount outside of 0 .. 1, no sentence, or a label
            outside of 1 .. vocab_size - 1.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, sentences: Iterable[Sequence[int]], order: int, vocab_size: int, discount: float = 0.75):
        sentences = [tuple(one) for one in sentences]
        if order < 1 or not 0 < discount < 1 or not sentences:
            raise ValueError(
                f"order {order} must be 1 or more, discount {discount} between 0 and 1, and {len(sentences)} sentences "
                "1 or more"
            )
        if wrong := [label for one in sentences for label in one if not 1 <= label < vocab_size]:
            raise ValueError(f"label {wrong[0]} is outside of 1 .. {vocab_size - 1}")
        self.order, self.vocab_size, self.discount = order, vocab_size, discount
        grams: Counter[tuple[int, ...]] = Counter()
        for one in sentences:
            padded = (*[END] * (order - 1), *one, END)
            grams.update(padded[i : i + order] for i in range(len(padded) - order + 1))
        self.following: list[dict[tuple[int, ...], Counter[int]]] = []  # by length of the context, the longest first
        for _ in range(order):
            table: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
            for gram, count in grams.items():
                table[gram[:-1]][gram[-1]] += count
            self.following.append(dict(table))
            grams = Counter({gram: 1 for gram in grams})  # a type, not a token, is what the shorter context counts
            grams = Counter(gram[1:] for gram in grams)
        self._known: dict[tuple[int, ...], list[float]] = {}

    def __call__(self, labels: tuple[int, ...]) -> Sequence[float]:
        """log p of every next label, at `END` that of the end."""
        context = ((END,) * (self.order - 1) + labels)[len(labels) :]
        if context not in self._known:
            self._known[context] = [math.log(p) for p in self._probs(context)]
        return self._known[context]

    def _probs(self, context: tuple[int, ...]) -> list[float]:
        probs = [1 / self.vocab_size] * self.vocab_size
        for level in range(self.order - 1, -1, -1):  # from no context to the longest
            table = self.following[level].get(context[level:])
            if table is None:
                break
            total = sum(table.values())
            left = self.discount * len(table) / total
            probs = [left * p for p in probs]
            for label, count in table.items():
                probs[label] += (count - self.discount) / total
        return probs


class Mixture:
    """p = sum of w_i p_i: the words of one domain beside the weight of another (Jelinek and Mercer, 1980).

    Args:
        models: with one vocabulary.
        weights: as many, not negative, summing to 1.

    Raises:
        ValueError: weights that are no distribution over the models.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, models: Sequence[Model], weights: Sequence[float]):
        if len(models) != len(weights) or not all(w >= 0 for w in weights) or abs(sum(weights) - 1) > 1e-6:
            raise ValueError(f"{len(models)} models need as many weights that sum to 1, got {list(weights)}")
        self.models, self.weights = models, weights

    def __call__(self, labels: tuple[int, ...]) -> Sequence[float]:
        answers = [model(labels) for model in self.models]
        mixed = zip(*answers, strict=True)
        return [_log(sum(w * math.exp(p) for w, p in zip(self.weights, one, strict=True))) for one in mixed]


class WholeWords:
    """A model of whole words that is asked letter by letter: what it has not seen is impossible.

    p(next letter | letters) = count of words that begin with both / count of those that begin with the letters

    Args:
        words: as labels, as often as they occur.
        vocab_size: labels with `END`.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, words: Iterable[Sequence[int]], vocab_size: int):
        self.vocab_size, self.counts = vocab_size, Counter[tuple[int, ...]]()
        for word in words:
            whole = (*word, END)
            self.counts.update(whole[:i] for i in range(len(whole) + 1))

    def __call__(self, labels: tuple[int, ...]) -> Sequence[float]:
        """log p of every next letter; minus infinity for all behind letters that begin no word."""
        total = self.counts[labels]
        return [_log(self.counts[(*labels, label)] / total if total else 0.0) for label in range(self.vocab_size)]


def _log(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf


def perplexity(model: Model, sentences: Iterable[Sequence[int]]) -> float:
    """exp of the mean of -log p over all labels and ends.

    Chapter: book/ch16_speech_recognition
    """
    total, count = 0.0, 0
    for one in sentences:
        whole = (*one, END)
        total -= sum(model(tuple(one[:i]))[label] for i, label in enumerate(whole))
        count += len(whole)
    return math.exp(total / count)
