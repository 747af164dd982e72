"""What stands between text that a model wrote and a model that learns from it: a filter, and each text once."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

Text = Sequence[str]  # its words
Score = Callable[[Text], float]


def deduplicated(texts: Sequence[Text], threshold: float = 0.7, size: int = 3) -> list[Text]:
    """The texts that are no near-duplicate of one that stays before them.

    J(a, b) = |a and b| / |a or b| over the sets of their n-grams      (Broder, 1997; Lee et al., 2022,
    arXiv:2107.06499, section 4.2, who estimate it by MinHash; here it is counted)

    Args:
        texts: in the order in which they are looked at.
        threshold: similarity from which a text is a duplicate, above 0 to 1; at 1 those with equal n-grams alone.
        size: n; a text of fewer words is one n-gram.

    Raises:
        ValueError: threshold outside (0, 1], or size below 1.

    Chapter: book/ch07_distillation
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold} is outside (0, 1]")
    if size < 1:
        raise ValueError(f"size {size} is below 1 word")
    grams = [{tuple(text[i : i + size]) for i in range(max(1, len(text) - size + 1))} for text in texts]
    common = Counter(gram for each in grams for gram in each)
    kept, holders = [], {}  # the rarest n-grams of those that stay -> who has them
    for number, own in enumerate(grams):
        # two sets as similar as that share one of each other's len - ceil(threshold len) + 1 rarest
        rarest = sorted(own, key=lambda gram: (common[gram], gram))[: len(own) - math.ceil(threshold * len(own)) + 1]
        near = {other for gram in rarest for other in holders.get(gram, ())}
        if any(len(own & grams[other]) >= threshold * len(own | grams[other]) for other in near):
            continue
        for gram in rarest:
            holders.setdefault(gram, []).append(number)
        kept.append(texts[number])
    return kept


def best(texts: Sequence[Text], score: Score, share: float) -> list[Text]:
    """The share of the texts with the highest scores, rounded up, in their old order; of equal ones the first.

    Raises:
        ValueError: share is outside [0, 1], or a score is nan.

    Chapter: book/ch07_distillation
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share {share} is outside [0, 1]")
    scores = [score(text) for text in texts]
    if any(math.isnan(one) for one in scores):
        raise ValueError(f"the score of text {[math.isnan(one) for one in scores].index(True)} is nan")
    order = sorted(range(len(texts)), key=lambda i: -scores[i])[: math.ceil(share * len(texts))]
    return [texts[i] for i in sorted(order)]
