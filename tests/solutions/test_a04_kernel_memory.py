"""In Triton's interpreter pointers are addresses: where assignment 4 is graded, kernels reach their tensors alone."""

from pathlib import Path

import pytest
import torch

from autograder.bounds import bound_kernels
from autograder.engine import load_task
from autograder.execution import run_cell
from tests.kernels.interpreter import Interpreter

ROOT = Path(__file__).resolve().parents[2]
CELL = """
@triton.jit
def touch(x, out, far):
    tl.store(out, tl.load(x + far))
    tl.store(x + far, 7.0)
    tl.atomic_add(x + far, 1.0)


@triton.jit
def swap(x, far):
    tl.atomic_cas(x + far, 5, 6)


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


def touched(far_away: bool):
    """What a kernel loads from a tensor, which it is given or which lies elsewhere, and what it makes of that."""
    namespace: dict = {}
    run_cell(load_task(ROOT / "autograder" / "tasks" / "a04_flash_attention").setup, "setup", namespace)
    bound_kernels()
    run_cell(CELL, "cell", namespace)
    given, other, out, whole = (
        torch.full((4,), 3.0),
        torch.full((4,), 5.0),
        torch.ones(1),
        torch.full((4,), 5, dtype=torch.int32),
    )
    far = (other.data_ptr() - given.data_ptr()) // 4 if far_away else 0
    namespace["touch"][(1,)](given, out, far)
    said = ""
    try:
        namespace["swap"][(1,)](whole, 2**20 if far_away else 0)
    except Exception as error:
        said = str(error)
    return out.item(), given.tolist(), other.tolist(), whole.tolist(), said


def test_kernels_reach_the_tensors_of_their_launch_and_nothing_else():
    interpreter = Interpreter()
    assert interpreter(touched, False) == (3, [8, 3, 3, 3], [5] * 4, [6, 5, 5, 5], "")
    out, given, other, whole, said = interpreter(touched, True)
    assert (out, given, other, whole) == (0, [3] * 4, [5] * 4, [5] * 4)
    assert "outside of the tensors" in said
    interpreter.close()


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


@pytest.mark.parametrize("by_cas", [False, True])
def test_what_lies_between_pointers_is_not_followed(by_cas):
    interpreter = Interpreter()
    assert interpreter(through_gaps, by_cas) == ([9] * 4, [5] * 4)
    interpreter.close()


@pytest.mark.parametrize(("kernel", "error"), [("wide", ""), ("wide_swap", "outside of the tensors")])
def test_the_bytes_that_move_are_counted_not_those_of_the_type(kernel, error):
    interpreter = Interpreter()
    memory, said = interpreter(over_the_end, kernel)
    assert not any(memory)
    assert error in said
    interpreter.close()


def test_block_pointers_work():
    interpreter = Interpreter()
    assert interpreter(copied_by_blocks) == ("", [4] * 4)
    interpreter.close()
