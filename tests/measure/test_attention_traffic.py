"""Bytes by formula against a memory that counts, for lengths that no tile divides."""

import pytest
import torch

from nimblelm.measure.attention_traffic import (
    SlowMemory,
    attention_flop,
    naive_attention_bytes,
    tiled_attention_bytes,
)


def moved(memory):
    return memory.bytes_read + memory.bytes_written


@pytest.mark.parametrize(("n", "m", "d"), [(16, 16, 8), (13, 29, 4), (1, 50, 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_four_steps_through_slow_memory_move_what_the_formula_says(n, m, d, dtype):
    memory, (q, k, v) = SlowMemory(), (torch.randn(x, d).to(dtype) for x in (n, m, m))
    scores = memory.write(memory.read(q) @ memory.read(k).T)
    scaled = memory.write(memory.read(scores) / d**0.5)
    probs = memory.write(memory.read(scaled).softmax(-1))
    memory.write(memory.read(probs) @ memory.read(v))
    assert moved(memory) == naive_attention_bytes(n, m, d, dtype.itemsize)


@pytest.mark.parametrize(
    ("n", "m", "d", "block_m", "block_n"), [(16, 16, 8, 4, 4), (13, 29, 4, 5, 7), (1, 50, 16, 8, 8)]
)
def test_tiles_through_slow_memory_move_what_the_formula_says(n, m, d, block_m, block_n):
    memory, (q, k, v) = SlowMemory(), (torch.randn(x, d).half() for x in (n, m, m))
    for first in range(0, n, block_m):
        query = memory.read(q[first : first + block_m])
        for start in range(0, m, block_n):
            memory.read(k[start : start + block_n])
            memory.read(v[start : start + block_n])
        memory.write(torch.empty_like(query))
        memory.write(torch.empty(len(query)))
    assert moved(memory) == tiled_attention_bytes(n, m, d, 2, block_m)


def test_reads_and_writes_are_counted_apart_and_change_nothing():
    memory, x = SlowMemory(), torch.ones(3, 4, dtype=torch.float64)
    assert memory.read(x) is x
    assert (memory.bytes_read, memory.bytes_written) == (96, 0)
    assert memory.write(x[0]).tolist() == [1.0] * 4
    assert (memory.bytes_read, memory.bytes_written) == (96, 32)


def test_operations_are_two_for_each_multiplication_of_two_products():
    assert attention_flop(3, 5, 7) == 2 * (3 * 7 * 5) + 2 * (3 * 5 * 7)
