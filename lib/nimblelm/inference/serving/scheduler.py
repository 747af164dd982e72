"""Which tokens of which requests go into the next pass: static batching, continuous batching, chunked prefill."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Request:
    """A prompt of some length that came at some time and wants some tokens.

    Raises:
        ValueError: an empty prompt, fewer than one token asked for, or an arrival that is negative or no finite time.

    Chapter: book/ch01_decoding_and_its_cost
    """

    name: Hashable
    prompt_length: int
    max_new_tokens: int
    arrival_s: float = 0.0

    def __post_init__(self):
        if not 0 <= self.arrival_s < math.inf:
            raise ValueError(f"request {self.name!r} has arrival_s {self.arrival_s}, not a finite time from 0 on")
        if not (self.prompt_length >= 1 and self.max_new_tokens >= 1):
            raise ValueError(
                f"request {self.name!r} has {self.prompt_length} prompt tokens and asks for {self.max_new_tokens}, "
                "both must be 1 or more"
            )

    @property
    def num_rows(self) -> int:
        """Rows that its cache holds at the end: the token written last is never read."""
        return self.prompt_length + self.max_new_tokens - 1


@dataclass
class Progress:
    """How far a request is: tokens whose rows are in the cache, and tokens written.

    Chapter: book/ch01_decoding_and_its_cost
    """

    request: Request
    num_computed: int = 0
    num_generated: int = 0
    stopped: bool = False  # an end-of-text token came

    @property
    def num_pending(self) -> int:
        """Known tokens that no pass has read: the rest of the prompt, then always the token written last."""
        return self.request.prompt_length + self.num_generated - self.num_computed

    @property
    def is_finished(self) -> bool:
        return self.stopped or self.num_generated == self.request.max_new_tokens


class Share(NamedTuple):
    """What one request has in a pass: `count` tokens from position `start` on.

    Chapter: book/ch01_decoding_and_its_cost
    """

    progress: Progress
    start: int
    count: int

    @property
    def emits(self) -> bool:
        """Whether the pass reads the request's last known token, and so writes the next one."""
        return self.count == self.progress.num_pending


@dataclass(frozen=True)
class Limits:
    """The most requests that run side by side, and the most tokens of a pass (used by chunked prefill alone).

    Raises:
        ValueError: no request may run, or a negative budget.

    Chapter: book/ch01_decoding_and_its_cost
    """

    max_running: int
    token_budget: int = 0

    def __post_init__(self):
        if not (self.max_running >= 1 and self.token_budget >= 0):
            raise ValueError(f"max_running {self.max_running} is below 1, or token_budget {self.token_budget} below 0")


Policy = Callable[[list[Progress], list[Progress], Limits], list[Share]]


def static_batching(running: list[Progress], waiting: list[Progress], limits: Limits) -> list[Share]:
    """Fill the batch, then run it until its last request is finished; nobody joins on the way.

    Args:
        running: admitted requests that are not finished.
        waiting: requests that have come and may be admitted, oldest first.
        limits: bounds of the pass.

    Returns:
        The shares of the next pass; a waiting request with a share is admitted by it.

    Chapter: book/ch01_decoding_and_its_cost
    """
    return [_share(one) for one in running or waiting[: limits.max_running]]


def continuous_batching(running: list[Progress], waiting: list[Progress], limits: Limits) -> list[Share]:
    """Decide anew before every pass: a free slot is filled at once, and its prompt is read whole in that pass.

    Iteration-level scheduling (Yu et al., 2022, OSDI, section 3). Arguments and result are those of `static_batching`.

    Chapter: book/ch01_decoding_and_its_cost
    """
    return [_share(one) for one in [*running, *waiting][: max(limits.max_running, len(running))]]


def chunked_prefill(running: list[Progress], waiting: list[Progress], limits: Limits) -> list[Share]:
    """Never more tokens in a pass than the budget: decoding requests first, prompts in pieces with what is left.

    Stall-free batching (Agrawal et al., 2024, arXiv:2403.02310, section 4). Arguments and result are those of
    `static_batching`.

    Raises:
        ValueError: the budget is below max_running, so that decoding requests might starve.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if limits.token_budget < limits.max_running:
        raise ValueError(f"token_budget {limits.token_budget} is below max_running {limits.max_running}")
    decoding = [one for one in running if one.num_pending == 1]
    reading = [one for one in running if one.num_pending > 1]
    shares, left = [_share(one) for one in decoding], limits.token_budget - len(decoding)
    for one in [*reading, *waiting[: max(limits.max_running - len(running), 0)]]:
        if left == 0:
            break
        shares.append(_share(one, left))
        left -= shares[-1].count
    return shares


def _share(progress: Progress, most: int | None = None) -> Share:
    """All that a request has pending, or as much of it as `most` allows."""
    count = progress.num_pending if most is None else min(progress.num_pending, most)
    return Share(progress, progress.num_computed, count)
