"""A model of words by the words before them: small enough to train generations of it on each other's text."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

START, END = "<s>", "</s>"


class WordModel:
    """Counts of what follows the last words, smoothed where a probability is asked for and as they are where it writes.

    p(w | h) = (c(h, w) + t(h) p(w | h')) / (c(h) + t(h)), t(h) the different words seen after h, h' one word shorter,
    and 1 / |V| below the last      (Witten and Bell, 1991, method C, interpolated)

    Args:
        texts: sentences as words.
        vocabulary: the words that it may be asked for; any other counts as one more.
        context: words that it looks back on.

    Raises:
        ValueError: there is no text, or context is below 1.

    Chapter: book/ch07_distillation
    """

    def __init__(self, texts: Iterable[Sequence[str]], vocabulary: Iterable[str], context: int = 2):
        if context < 1:
            raise ValueError(f"context {context} is below 1 word")
        self.context, self.size = context, len(set(vocabulary)) + 2  # with the end and with what is unknown
        self.followers: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            padded = [START] * context + list(text) + [END]
            for i in range(context, len(padded)):
                for length in range(context + 1):
                    self.followers[tuple(padded[i - length : i])][padded[i]] += 1
        if not self.followers:
            raise ValueError("0 texts, at least 1 is needed")
        self._totals = {before: seen.total() for before, seen in self.followers.items()}
        self._drawn_from: dict[tuple[str, ...], tuple[list[str], list[int]]] = {}

    def probability(self, word: str, before: Sequence[str]) -> float:
        """p(word | before), of the last `context` words alone."""
        p = 1 / self.size
        for length in range(min(self.context, len(before)) + 1):
            last = tuple(before[len(before) - length :])
            if last not in self._totals:
                break
            seen = self.followers[last]
            p = (seen[word] + len(seen) * p) / (self._totals[last] + len(seen))
        return p

    def nats(self, text: Sequence[str]) -> float:
        """-ln p(text, end), summed over its words and the end."""
        padded = [START] * self.context + list(text) + [END]
        steps = range(self.context, len(padded))
        return -sum(math.log(self.probability(padded[i], padded[i - self.context : i])) for i in steps)

    def write(self, rng: random.Random, max_words: int = 40) -> list[str]:
        """One text, drawn from the counts without smoothing: what was never seen is never written."""
        before, text = (START,) * self.context, []
        while len(text) < max_words:
            if before not in self._drawn_from:
                seen = self.followers[before]
                words, counts = list(seen), list(seen.values())
                self._drawn_from[before] = words, list(accumulate(counts))
            words, totals = self._drawn_from[before]
            word = rng.choices(words, cum_weights=totals)[0]
            if word == END:
                break
            text.append(word)
            before = (*before[1:], word)
        return text


def held_out_nats(model: WordModel, texts: Sequence[Sequence[str]]) -> float:
    """Nats a word over texts, their ends included.

    Raises:
        ValueError: there is no text.

    Chapter: book/ch07_distillation
    """
    if not texts:
        raise ValueError("0 texts, at least 1 is needed")
    return sum(model.nats(text) for text in texts) / sum(len(text) + 1 for text in texts)
