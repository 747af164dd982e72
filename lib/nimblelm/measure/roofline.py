"""The roofline model: how fast a machine can be, given how much arithmetic a piece of work does for each byte."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch


class Work(NamedTuple):
    """What a computation does and what it moves.

    Chapter: book/ch01_decoding_and_its_cost
    """

    flops: int | float  # a multiplication and an addition are two
    num_bytes: int | float  # read from and written to the slow memory, each operand once

    @property
    def intensity(self) -> float:
        """Arithmetic intensity in FLOP per byte.

        Raises:
            ValueError: no byte is moved, or a number is negative or not finite.
        """
        if not (0 <= self.flops < math.inf and 0 < self.num_bytes < math.inf):
            raise ValueError(f"{self}: flops must be 0 or more, num_bytes above 0, both finite")
        return self.flops / self.num_bytes


@dataclass(frozen=True)
class Roofline:
    """A machine as two numbers.

    attainable(I) = min(peak, bandwidth I)      (Williams, Waterman and Patterson, 2009, figure 1)

    Raises:
        ValueError: a number that is not positive and finite.

    Chapter: book/ch01_decoding_and_its_cost
    """

    peak_flops: float  # FLOP per second
    bandwidth_bytes: float  # bytes per second

    def __post_init__(self):
        if not (0 < self.peak_flops < math.inf and 0 < self.bandwidth_bytes < math.inf):
            raise ValueError(f"{self}: both must be above 0 and finite")

    @property
    def ridge(self) -> float:
        """The intensity in FLOP per byte at which the roof turns flat: below it memory decides, above it arithmetic."""
        return self.peak_flops / self.bandwidth_bytes

    def attainable(self, intensity: int | float) -> int | float:
        """FLOP per second at this intensity.

        Raises:
            ValueError: a negative or undefined intensity.
        """
        if not intensity >= 0:
            raise ValueError(f"intensity {intensity} must be 0 or more")
        return min(self.peak_flops, self.bandwidth_bytes * intensity)

    def seconds(self, work: Work) -> float:
        """The least time: the longer of computing and moving, as if they overlapped perfectly.

        Raises:
            ValueError: a negative amount of work, or one that is not finite.
        """
        if not all(0 <= amount < math.inf for amount in work):
            raise ValueError(f"{work}: both must be 0 or more and finite")
        return max(work.flops / self.peak_flops, work.num_bytes / self.bandwidth_bytes)


@dataclass(frozen=True)
class DecoderShape:
    """The numbers of a decoder-only transformer on which the cost of a pass depends.

    Raises:
        ValueError: a number that is not positive and finite.

    Chapter: book/ch01_decoding_and_its_cost
    """

    num_weights: int  # that a token is multiplied with: the head included, the embedding table not
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    bytes_per_element: int | float = 2  # of weights and cache

    def __post_init__(self):
        sizes = (self.num_weights, self.num_layers, self.num_heads, self.num_kv_heads, self.head_dim)
        if not all(0 < size < math.inf for size in (*sizes, self.bytes_per_element)):
            raise ValueError(f"{self}: every number must be above 0 and finite")

    @property
    def weight_bytes(self) -> int | float:
        return self.num_weights * self.bytes_per_element

    @property
    def row_bytes(self) -> int | float:
        """Keys and values of one token in all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * self.bytes_per_element


def pass_work(shape: DecoderShape, batch_size: int, num_new: int, context: int) -> Work:
    """FLOPs and bytes of one pass over `num_new` tokens of each of `batch_size` sequences.

    FLOPs: 2 for each weight and token, and 4 H D in each layer for each pair of a query and a row that it sees (2 for
    the score, 2 for the weighted sum). Bytes: each weight once for the whole batch; of each sequence the rows of its
    context, and its new rows. Activations are left out: they are small and stay in the caches of the processor.

    Args:
        shape: the model.
        batch_size: sequences.
        num_new: 1 when decoding, the length of the prompt in a prefill.
        context: rows that stand in the cache before, of each sequence.

    Raises:
        ValueError: no sequence, no new token, or a negative context.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if not (batch_size >= 1 and num_new >= 1 and context >= 0):
        raise ValueError(f"batch_size {batch_size} and num_new {num_new} must be above 0, context {context} not below")
    seen = num_new * context + num_new * (num_new + 1) // 2  # pairs of a query and a row, causal
    attention = 4 * shape.num_layers * shape.num_heads * shape.head_dim * seen
    flops = batch_size * (2 * shape.num_weights * num_new + attention)
    return Work(flops, shape.weight_bytes + batch_size * shape.row_bytes * (context + num_new))


def matmul_work(rows: int, inner: int, columns: int, bytes_per_element: int | float = 4) -> Work:
    """FLOPs and bytes of (rows, inner) times (inner, columns).

    Raises:
        ValueError: a size that is not positive and finite.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if not all(0 < size < math.inf for size in (rows, inner, columns, bytes_per_element)):
        raise ValueError(f"sizes {(rows, inner, columns, bytes_per_element)} must be above 0 and finite")
    moved = rows * inner + inner * columns + rows * columns
    return Work(2 * rows * inner * columns, moved * bytes_per_element)


def copy_bandwidth(num_bytes: int = 2**28, repeats: int = 5) -> float:
    """Bytes per second that a large copy on the CPU moves, reading and writing counted; the best of the repeats.

    Args:
        num_bytes: size of the block, larger than all caches of the processor.

    Raises:
        ValueError: a block of less than one number, or no repeats.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if not num_bytes >= 4:
        raise ValueError(f"num_bytes {num_bytes} holds no float32 number")
    source = torch.ones(num_bytes // 4)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / min(_seconds(lambda: target.copy_(source), repeats))


def matmul_rate(rows: int, inner: int, columns: int, repeats: int = 5) -> float:
    """FLOP per second of a float32 product (rows, inner) times (inner, columns) on the CPU; the median of the repeats.

    Chapter: book/ch01_decoding_and_its_cost
    """
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(rows, inner, generator=generator)
    b = torch.randn(columns, inner, generator=generator)
    seconds = statistics.median(_seconds(lambda: torch.nn.functional.linear(a, b), repeats))
    return matmul_work(rows, inner, columns).flops / seconds


def measured_roofline(num_bytes: int = 2**28, size: int = 1024, repeats: int = 5) -> Roofline:
    """Bandwidth from a copy and peak from a square product, on the machine at hand, in float32 on the CPU.

    Chapter: book/ch01_decoding_and_its_cost
    """
    return Roofline(matmul_rate(size, size, size, repeats), copy_bandwidth(num_bytes, repeats))


def _seconds(call: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each call after one that is not counted."""
    if not repeats >= 1:
        raise ValueError(f"repeats {repeats} is below 1")
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(max(time.perf_counter() - began, math.ulp(1.0)))
    return times
