"""What the judge spends on an answer is bounded by its size, in memory as in time."""

import time
import tracemalloc
from typing import Any

import pytest
import torch

from autograder.checks import Check, CheckFailed, Draws, expect_close, expect_equal, fail, run_check
from autograder.judge.remote_call import MAX_RESULT_BYTES
from autograder.wire.values import NUMBER_BYTES, TENSOR_BYTES, Arena, Budget, ProtocolError
from tests.autograder.test_hostile_values import CHECKS, Returning

MOST = MAX_RESULT_BYTES // NUMBER_BYTES  # numbers in one answer
LARGEST: dict[str, Any] = {
    "bytes": torch.zeros(MOST, dtype=torch.int8),
    "whole numbers": torch.arange(MOST // 2) + 2**40,
    "a square": torch.full((2, MOST // 4), 0.1, dtype=torch.float64),
    "a list": [[7] * 100] * 490,
    "small tensors": [torch.zeros(3)] * (MAX_RESULT_BYTES // TENSOR_BYTES),
    "a long text": {"tokens": "x" * 65_000},
}


@pytest.mark.parametrize(
    "value",
    [[0] * 10**6, tuple(range(10**6)), {number: [0] * 9 for number in range(10**5)}, [[[0] * 99] * 99] * 99,
     "x" * 10**7, b"x" * 10**7, [["y" * 10**6] * 9] * 9, 1 << 10**7, [1 << 10**7] * 9, torch.zeros(2**22),
     [torch.zeros(2**22)] * 9],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_is_cut_before_it_is_written_out(value: Any) -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(CheckFailed) as failed:
        fail("wrong", got=value)
    spent_s, (_, most) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(failed.value)) < 250
    assert most < 2**20
    assert spent_s < 0.2


def test_short_values_are_shown_as_before() -> None:
    with pytest.raises(CheckFailed, match=r"wrong \(got=\{'a': \[0.1, 3\]\}, want=\(None, 'x'\)\)"):
        fail("wrong", got={"a": [0.1000000001, 3]}, want=(None, "x"))


@pytest.mark.parametrize("shape", [(MOST + 1,), (3, MOST), (2**40, 0)])
def test_numbers_count_in_full_however_narrow_they_are(shape: tuple[int, ...]) -> None:
    arena = Arena(bytearray(2**26), size=2**26)
    with pytest.raises(ProtocolError, match="more than the 16 MB that one message may bring"):
        arena.take(["int8", list(shape), 0], Budget(MAX_RESULT_BYTES))


def test_a_tensor_counts_however_small_it_is() -> None:
    arena, budget = Arena(bytearray(2**20), size=2**20), Budget(MAX_RESULT_BYTES)
    for _ in range(MAX_RESULT_BYTES // TENSOR_BYTES):
        arena.take(["int8", [1], 0], budget)
    with pytest.raises(ProtocolError):
        arena.take(["int8", [1], 0], budget)


def test_another_shape_is_refused_before_it_is_widened() -> None:
    got = torch.zeros(1).expand(2**40)  # of which nothing could be made as float64
    for expect in (expect_close, expect_equal):
        with pytest.raises(CheckFailed):
            expect(got, torch.zeros(3), "it")


@pytest.mark.parametrize(
    "one", [one for one in CHECKS if one.speed is None and one.points], ids=lambda one: f"{one.exercise}:{one.name}"
)
def test_no_check_takes_long_for_the_largest_answers(one: Check) -> None:
    for name, value in LARGEST.items():
        began = time.process_time()
        outcome = run_check(one, Returning(value), Draws(b"key", one.name))
        assert time.process_time() - began < 4, name  # most of it is what a right answer takes as well
        assert not outcome.passed
