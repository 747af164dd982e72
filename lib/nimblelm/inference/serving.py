"""The loop of a serving engine: requests come, passes run, tokens go out. What runs a pass is a backend's business."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from nimblelm.inference.scheduler import Limits, Policy, Progress, Request, Share


@runtime_checkable
class Backend(Protocol):
    """What the loop needs of whoever runs the passes.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def admit(self, request: Request) -> bool:
        """Set memory aside for a request, or say that there is too little now."""
        ...

    def run(self, shares: list[Share]) -> float:
        """Run one pass and return the seconds it took; mark as stopped whose text has ended."""
        ...

    def finish(self, request: Request) -> None:
        """Give back what a finished request held."""
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
    arrival. So the same loop drives a transformer and a simulation.

    Args:
        requests: with different names, in any order.
        policy: decides before each pass.
        limits: bounds of a pass.
        backend: runs the passes.

    Returns:
        Every pass, in order.

    Raises:
        ValueError: two requests of one name, max_running below 1, or a request that does not fit an empty memory.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if len({request.name for request in requests}) < len(requests) or limits.max_running < 1:
        raise ValueError(f"{len(requests)} requests with fewer names, or max_running {limits.max_running} below 1")
    coming = sorted((Progress(request) for request in requests), key=lambda one: one.request.arrival_s)
    running: list[Progress] = []
    admitted: list[Progress] = []  # memory is set aside, no pass has read them yet
    steps: list[Step] = []
    clock_s = 0.0
    while coming or running or admitted:
        if not (running or admitted):
            clock_s = max(clock_s, coming[0].request.arrival_s)
        while coming and coming[0].request.arrival_s <= clock_s and len(running) + len(admitted) < limits.max_running:
            if not backend.admit(coming[0].request):
                if not (running or admitted):
                    raise ValueError(f"request {coming[0].request.name!r} does not fit an empty cache")
                break
            admitted.append(coming.pop(0))
        shares = policy(running, admitted, limits)
        recorded = [StepShare(s.progress.request.name, s.start, s.count, s.emits) for s in shares]
        elapsed_s = backend.run(shares)
        steps.append(Step(clock_s, clock_s + elapsed_s, recorded))
        clock_s += elapsed_s
        running += [one for one in admitted if any(share.progress is one for share in shares)]
        admitted = [one for one in admitted if not any(one is other for other in running)]
        for share in shares:
            _advance(share)
        for one in [one for one in running if one.is_finished]:
            backend.finish(one.request)
        running = [one for one in running if not one.is_finished]
    return steps


def _advance(share: Share) -> None:
    emits = share.emits
    share.progress.num_computed += share.count
    share.progress.num_generated += emits


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

    Chapter: book/ch01_decoding_and_its_cost
    """

    pass_s: float
    token_s: float
    row_s: float = 0.0

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

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(self, cost: AffineCost, num_rows: int | None = None):
        self.cost, self.num_rows, self.reserved = cost, num_rows, 0

    def admit(self, request: Request) -> bool:
        if self.num_rows is not None and self.reserved + request.num_rows > self.num_rows:
            return False
        self.reserved += request.num_rows
        return True

    def run(self, shares: list[Share]) -> float:
        return self.cost.seconds(shares)

    def finish(self, request: Request) -> None:
        self.reserved -= request.num_rows
