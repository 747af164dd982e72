"""Rounds that run ahead of their reader: each is one CUDA graph, and the host reads a round when the next has begun."""

from collections import deque
from collections.abc import Callable, Hashable, Mapping

import torch
from torch import Tensor


class RoundLoop:
    """Launches rounds and reads their outcomes without ever making the device wait.

    A round is a function without arguments that updates tensors in place; its outcome is the tensor `report`. Behind
    each round the report travels to pinned memory of the host. At most two outcomes are on their way.

    Args:
        rounds: by name, such as the draft length.
        report: the outcome of a round, overwritten by each.
        generator: the randomness that rounds use; graphs go on from its state.
        graphs: capture each round into a CUDA graph; otherwise, and on the CPU, run it as it is.

    Raises:
        ValueError: graphs on a device that has none.
    """

    def __init__(
        self, rounds: Mapping[Hashable, Callable[[], object]], report: Tensor, generator: torch.Generator, graphs: bool
    ):
        if graphs and not report.is_cuda:
            raise ValueError(f"CUDA graphs need a CUDA device, the report lies on {report.device}")
        self.report = report
        self.rounds = captured(rounds, generator) if graphs else dict(rounds)
        self.buffers = [torch.empty_like(report, device="cpu", pin_memory=report.is_cuda) for _ in range(2)]
        self.events = [torch.cuda.Event() for _ in self.buffers] if report.is_cuda else None
        self.on_their_way: deque[int] = deque()  # which buffer receives which outcome, the oldest first
        self.next_buffer = 0

    def launch(self, name: Hashable) -> None:
        """Start a round, and its report on its way."""
        self.rounds[name]()
        self.send()

    def send(self) -> None:
        """Start the report on its way to the host."""
        assert len(self.on_their_way) < 2, "a report would overwrite one that was not read"
        buffer, self.next_buffer = self.next_buffer, 1 - self.next_buffer
        self.buffers[buffer].copy_(self.report, non_blocking=True)
        if self.events:
            self.events[buffer].record()
        self.on_their_way.append(buffer)

    def read(self) -> list[list[int]]:
        """The oldest report that was not read, when it is there."""
        buffer = self.on_their_way.popleft()
        if self.events:
            self.events[buffer].synchronize()  # the device goes on with the round after it
        return self.buffers[buffer].tolist()

    def forget(self) -> None:
        """Drop reports that nobody will read."""
        self.on_their_way.clear()


def captured(
    rounds: Mapping[Hashable, Callable[[], object]], generator: torch.Generator
) -> dict[Hashable, Callable[[], object]]:
    """Each round as one CUDA graph: the same work on the same tensors, launched as a whole.

    Two runs on a side stream come first, in which kernels are compiled and libraries take their workspace. No two
    rounds run at once, so the graphs share the memory of their intermediate values.

    Chapter: book/ch02_speculative_decoding
    """
    pool, replays = torch.cuda.graph_pool_handle(), {}
    for name, run in rounds.items():
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            run()
            run()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=pool):
            run()
        replays[name] = graph.replay
    return replays
