"""What a user of a served model feels, and what its owner counts: ttft, tpot and throughput."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class RequestTimes:
    """When a request came and when each of its tokens did, in seconds on one clock.

    Raises:
        ValueError: no token, times that run backwards, or a time that is no finite number.

    Chapter: book/ch01_decoding_and_its_cost
    """

    arrival_s: float
    token_times_s: Sequence[float]

    def __post_init__(self):
        times = [self.arrival_s, *self.token_times_s]
        if len(times) < 2 or not all(math.isfinite(t) for t in times) or any(a > b for a, b in pairwise(times)):
            raise ValueError(f"times {times[:4]} must be an arrival and at least one token, finite and in order")

    @property
    def ttft_s(self) -> float:
        """Time to first token: waiting and prefill."""
        return self.token_times_s[0] - self.arrival_s

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first: (t_n - t_1) / (n - 1). 0 for a single token."""
        gaps = len(self.token_times_s) - 1
        return (self.token_times_s[-1] - self.token_times_s[0]) / gaps if gaps else 0.0

    @property
    def longest_gap_s(self) -> float:
        """The longest wait between two tokens: a stall that a mean hides."""
        return max((b - a for a, b in pairwise(self.token_times_s)), default=0.0)


def throughput(requests: Sequence[RequestTimes]) -> float:
    """Tokens per second of all requests together, from the first arrival to the last token.

    Raises:
        ValueError: there are no requests, or no time passed.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if not requests:
        raise ValueError("throughput of 0 requests")
    span_s = max(one.token_times_s[-1] for one in requests) - min(one.arrival_s for one in requests)
    if span_s == 0:
        raise ValueError(f"throughput over a time of {span_s} s")
    return sum(len(one.token_times_s) for one in requests) / span_s
