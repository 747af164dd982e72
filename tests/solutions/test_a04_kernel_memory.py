"""In Triton's interpreter pointers are addresses: where assignment 4 is graded, kernels reach their tensors alone."""

from pathlib import Path

import pytest
import torch

from autograder.checks import load_task
from autograder.runtime.execution import run_cell
from autograder.runtime.triton_bounds import bound_kernels
from tests.kernels.interpreter import Interpreter

ROOT = Path(__file__).resolve().parents[2]
CELL = """
@triton.jit
def read(x, far):
    tl.store(x, tl.load(x + far))


@triton.jit
def write(x, far):
    tl.store(x + far, 7.0)


@triton.jit
def add(x, far):
    tl.atomic_add(x + far, 1.0)


@triton.jit
def swap(x, far):
    tl.atomic_cas(x + far, 3.0, 6.0)


@triton.jit
def read_masked(x, far):
    tl.store(x, tl.load(x + far, mask=(far >= 0) & (far < 4), other=8.0))


@triton.jit
def between(x, far, BY_CAS: tl.constexpr):
    # every second pointer leads far away, and only the others are used
    places = (x + tl.arange(0, 4)).to(tl.int64)
    near, _ = tl.split(tl.join(places, places + far))
    near = near.to(tl.pointer_type(tl.float32))
    if BY_CAS:
        tl.atomic_cas(near, tl.full([4], 3.0, tl.float32), tl.full([4], 9.0, tl.float32))
    else:
        tl.atomic_add(near, tl.full([4], 6.0, tl.float32))


@triton.jit
def wide(x, at):
    # numbers of eight bytes, by way of what points to a pointer to bytes
    place = x.to(tl.pointer_type(tl.pointer_type(tl.int8))) + at
    tl.store(place, tl.full([], -1, tl.int64))
    tl.atomic_xchg(place, tl.full([], -1, tl.int64))


@triton.jit
def wide_swap(x, at):
    place = x.to(tl.pointer_type(tl.int8)) + at
    tl.atomic_cas(place.to(tl.pointer_type(tl.int16)), tl.full([], 0, tl.int64), tl.full([], -1, tl.int64))


@triton.jit
def by_blocks(x, out):
    here = tl.make_block_ptr(x, (4,), (1,), (0,), (8,), (0,))
    there = tl.make_block_ptr(out, (4,), (1,), (0,), (8,), (0,))
    tl.store(there, tl.load(here, boundary_check=(0,)) + 1.0, boundary_check=(0,))
"""


def launched(name: str, given: torch.Tensor, *rest):
    """What a launch says where it breaks."""
    namespace: dict = {}
    run_cell(load_task(ROOT / "autograder" / "tasks" / "a04_flash_attention").setup, "setup", namespace)
    bound_kernels()
    run_cell(CELL, "cell", namespace)
    said = ""
    try:
        namespace[name][(1,)](given, *rest)
    except Exception as error:
        said = str(error)
    return said


def shifted(name: str, by: str):
    """What a launch says, its tensor, and the one behind it in the same storage, which the kernel is not given."""
    storage, elsewhere = torch.full((8,), 3.0), torch.full((4,), 3.0)
    given, behind = storage[:4], storage[4:]
    shift = {"nowhere": 1, "behind": 4, "before": -(2**40), "elsewhere": elsewhere.data_ptr() - given.data_ptr() >> 2}
    said = launched(name, given, shift[by])
    return said, given.tolist(), [*behind.tolist(), *elsewhere.tolist()]


def through_gaps(by_cas: bool):
    given, other = torch.full((4,), 3.0), torch.full((4,), 5.0)
    launched("between", given, other.data_ptr() - given.data_ptr(), by_cas)
    return given.tolist(), other.tolist()


def over_the_end(name: str):
    """A tensor that ends within another's memory, which the kernel is not given."""
    memory = torch.zeros(64, dtype=torch.int8)
    short = torch.frombuffer(memory.numpy(), dtype=torch.int8, count=32)
    said = launched(name, short, 30)
    return memory.tolist(), said


def copied_by_blocks():
    out = torch.zeros(4)
    return launched("by_blocks", torch.full((4,), 3.0), out), out.tolist()


MAKES = {"read": [3, 3], "write": [3, 7], "add": [3, 4], "swap": [3, 6]}


def test_kernels_do_as_they_like_with_the_tensors_of_their_launch():
    interpreter = Interpreter()
    for kernel, makes in MAKES.items():
        assert interpreter(shifted, kernel, "nowhere") == ("", [*makes, 3, 3], [3] * 8)
    interpreter.close()


@pytest.mark.parametrize("by", ["behind", "before", "elsewhere"])
def test_kernels_reach_nothing_else(by):
    interpreter = Interpreter()
    for kernel in MAKES:
        said, *memory = interpreter(shifted, kernel, by)
        assert "outside of the tensors that the kernel was given: mask what does not exist" in said
        assert memory == [[3] * 4, [3] * 8]
    assert interpreter(shifted, "read_masked", by) == ("", [8, 3, 3, 3], [3] * 8)
    interpreter.close()


@pytest.mark.parametrize("by_cas", [False, True])
def test_what_lies_between_pointers_is_not_followed(by_cas):
    interpreter = Interpreter()
    assert interpreter(through_gaps, by_cas) == ([9] * 4, [5] * 4)
    interpreter.close()


@pytest.mark.parametrize("kernel", ["wide", "wide_swap"])
def test_the_bytes_that_move_are_counted_not_those_of_the_type(kernel):
    interpreter = Interpreter()
    memory, said = interpreter(over_the_end, kernel)
    assert not any(memory)
    assert "outside of the tensors" in said
    interpreter.close()


def test_block_pointers_work():
    interpreter = Interpreter()
    assert interpreter(copied_by_blocks) == ("", [4] * 4)
    interpreter.close()
