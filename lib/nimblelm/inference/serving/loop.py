"""The loop of a serving engine: requests come, passes run, tokens go out. What runs a pass is a backend's business."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from nimblelm.inference.serving.scheduler import Limits, Policy, Progress, Request, Share


@runtime_checkable
class Backend(Protocol):
    """What the loop needs of whoever runs the passes.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def check(self, request: Request) -> None:
        """Raise ValueError for a request that it could not serve even alone."""
        ...

    def admit(self, request: Request) -> bool:
        """Set memory aside for a request, or say that there is too little now."""
        ...

    def run(self, shares: list[Share]) -> float:
        """Run one pass and return the seconds it took; mark as stopped whose sequence has ended."""
        ...

    def finish(self, request: Request) -> None:
        """Give back what an admitted request held."""
        ...


class StepShare(NamedTuple):
    """What one request had in a pass.

    Chapter: book/ch01_decoding_and_its_cost
    """

    name: Hashable
    start: int
    count: int
    emits: bool


class Step(NamedTuple):
    """One pass of the engine.

    Chapter: book/ch01_decoding_and_its_cost
    """

    start_s: float
    end_s: float
    shares: list[StepShare]

    @property
    def num_tokens(self) -> int:
        return sum(share.count for share in self.shares)


def serve(requests: Sequence[Request], policy: Policy, limits: Limits, backend: Backend) -> list[Step]:
    """Serve requests to their ends, pass by pass.

    Time runs on by what the backend says that a pass took; where nobody is there to be served it jumps to the next
    arrival. So the same loop drives a transformer and a simulation. Every request is checked before the first pass, and
    where a pass or the policy fails all that was set aside is given back.

    Args:
        requests: with different names, in any order.
        policy: decides before each pass.
        limits: bounds of a pass.
        backend: runs the passes.

    Returns:
        Every pass, in order.

    Raises:
        ValueError: two requests of one name, a request that the backend could not serve even alone, a policy that gives
            nobody a share or a share without tokens, or a pass whose time is negative or no finite number.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if len({request.name for request in requests}) < len(requests):
        raise ValueError(f"{len(requests)} requests with fewer names")
    for request in requests:
        backend.check(request)
    coming = sorted((Progress(request) for request in requests), key=lambda one: one.request.arrival_s)
    running: list[Progress] = []
    admitted: list[Progress] = []  # memory is set aside, no pass has read them yet
    steps: list[Step] = []
    clock_s = 0.0
    try:
        while coming or running or admitted:
            if not (running or admitted):
                clock_s = max(clock_s, coming[0].request.arrival_s)
            _admit(coming, admitted, clock_s, limits.max_running - len(running), backend)
            shares = policy(running, admitted, limits)
            steps.append(_run(shares, clock_s, backend))
            clock_s = steps[-1].end_s
            running += [one for one in admitted if any(share.progress is one for share in shares)]
            admitted = [one for one in admitted if not any(one is other for other in running)]
            for share, recorded in zip(shares, steps[-1].shares, strict=True):
                share.progress.num_computed += share.count
                share.progress.num_generated += recorded.emits
            for one in [one for one in running if one.is_finished]:
                running = [other for other in running if other is not one]
                backend.finish(one.request)
    except BaseException:
        for one in [*running, *admitted]:
            backend.finish(one.request)
        raise
    return steps


def _admit(coming: list[Progress], admitted: list[Progress], clock_s: float, most: int, backend: Backend) -> None:
    """Move who has come and fits from `coming` to `admitted`, in order, until `most` are admitted."""
    while coming and coming[0].request.arrival_s <= clock_s and len(admitted) < most:
        if not backend.admit(coming[0].request):
            break
        admitted.append(coming.pop(0))


def _run(shares: list[Share], clock_s: float, backend: Backend) -> Step:
    """One pass, and its record."""
    if not shares or not all(1 <= share.count <= share.progress.num_pending for share in shares):
        counts = {share.progress.request.name: share.count for share in shares}
        raise ValueError(f"the policy's shares {counts} of the pass at {clock_s} s: 1 token or more, none not pending")
    recorded = [StepShare(s.progress.request.name, s.start, s.count, s.emits) for s in shares]
    elapsed_s = backend.run(shares)
    if not 0 <= elapsed_s < math.inf:
        raise ValueError(f"the pass at {clock_s} s took {elapsed_s} s, which must be 0 or more and finite")
    return Step(clock_s, clock_s + elapsed_s, recorded)


def token_times_s(steps: Sequence[Step]) -> dict[Hashable, list[float]]:
    """When each token of each request came out: at the end of the pass that wrote it.

    Chapter: book/ch01_decoding_and_its_cost
    """
    times: dict[Hashable, list[float]] = {}
    for step in steps:
        for share in step.shares:
            times.setdefault(share.name, [])
            if share.emits:
                times[share.name].append(step.end_s)
    return times


@dataclass(frozen=True)
class AffineCost:
    """Seconds of a pass as a straight line: a fixed part, a part for each token, a part for each row attended to.

    The fixed part is the reading of the weights; the line is what a measurement on the machine at hand gives.

    Raises:
        ValueError: a part that is negative or no finite number.

    Chapter: book/ch01_decoding_and_its_cost
    """

    pass_s: float
    token_s: float
    row_s: float = 0.0

    def __post_init__(self):
        if not all(0 <= part < math.inf for part in (self.pass_s, self.token_s, self.row_s)):
            raise ValueError(f"{self}: every part must be 0 or more and finite")

    def seconds(self, shares: Sequence[Share]) -> float:
        """The cost of one pass; the rows attended to by a block are those up to its end."""
        tokens = sum(share.count for share in shares)
        rows = sum(share.start + share.count for share in shares)
        return self.pass_s + self.token_s * tokens + self.row_s * rows


class SimulatedBackend:
    """Runs no model: every pass takes what a cost model says, and memory is a number of rows.

    Args:
        cost: seconds of a pass.
        num_rows: rows of the cache; without limit by default.

    Raises:
        ValueError: fewer than one row.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(self, cost: AffineCost, num_rows: int | None = None):
        if num_rows is not None and not num_rows >= 1:
            raise ValueError(f"num_rows {num_rows} is below 1")
        self.cost, self.num_rows, self.reserved = cost, num_rows, 0

    def check(self, request: Request) -> None:
        if self.num_rows is not None and request.num_rows > self.num_rows:
            raise ValueError(f"request {request.name!r} needs {request.num_rows} rows, the cache has {self.num_rows}")

    def admit(self, request: Request) -> bool:
        if self.num_rows is not None and self.reserved + request.num_rows > self.num_rows:
            return False
        self.reserved += request.num_rows
        return True

    def run(self, shares: list[Share]) -> float:
        return self.cost.seconds(shares)

    def finish(self, request: Request) -> None:
        self.reserved -= request.num_rows
