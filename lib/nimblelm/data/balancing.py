"""MetaCLIP's way from raw pairs to a training set: match captions with a list of entries, then flatten its head."""

import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor


def matches(captions: Sequence[str], entries: Sequence[str]) -> list[list[int]]:
    """For each caption the numbers of the entries that stand in it as whole words, in any case.

    A caption without one carries no known meaning and is dropped (Xu et al., 2024, arXiv:2309.16671, section 3.2).

    Chapter: book/ch09_contrastive_learning
    """
    patterns = [re.compile(rf"(?<!\w){re.escape(entry)}(?!\w)", re.IGNORECASE) for entry in entries]
    return [[number for number, pattern in enumerate(patterns) if pattern.search(caption)] for caption in captions]


def keep_probabilities(found: Sequence[Sequence[int]], num_entries: int, limit: int) -> Tensor:
    """How often a pair is kept on behalf of each entry: all of a rare entry, `limit` of a common one on average.

    p_e = min(1, limit / count_e)      (Xu et al., 2024, algorithm 1; limit is their t, 20,000 for 400 million pairs)

    Raises:
        ValueError: the limit is below 1, or an entry's number is not below num_entries.

    Chapter: book/ch09_contrastive_learning
    """
    if limit < 1:
        raise ValueError(f"a limit of {limit} pairs is below 1")
    counts = Counter(entry for row in found for entry in row)
    if counts and not 0 <= min(counts) <= max(counts) < num_entries:
        raise ValueError(f"entries {min(counts)} to {max(counts)} are not numbers below {num_entries}")
    return torch.tensor([min(1.0, limit / max(counts[entry], 1)) for entry in range(num_entries)], dtype=torch.float64)


def balanced(found: Sequence[Sequence[int]], num_entries: int, limit: int, generator: torch.Generator) -> list[int]:
    """The numbers of the pairs that are kept: those that any of their entries keeps.

    Args:
        found: as `matches` gives them.
        num_entries: how many entries there are.
        limit: pairs that an entry keeps at most, on average.
        generator: source of randomness, on the CPU.

    Raises:
        ValueError: as `keep_probabilities`.

    Chapter: book/ch09_contrastive_learning
    """
    keep = keep_probabilities(found, num_entries, limit).tolist()
    draws = [torch.rand(len(row), generator=generator, dtype=torch.float64).tolist() for row in found]
    return [
        number
        for number, (row, drawn) in enumerate(zip(found, draws, strict=True))
        if any(value < keep[entry] for entry, value in zip(row, drawn, strict=True))
    ]
