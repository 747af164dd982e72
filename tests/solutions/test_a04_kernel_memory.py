"""In Triton's interpreter pointers are addresses: where assignment 4 is graded, kernels reach their tensors alone."""

from pathlib import Path

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
