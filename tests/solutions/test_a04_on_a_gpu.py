"""The GPU exercise of assignment 4 without a GPU: its solution compiled for Hopper, its timed calls in small."""

import importlib.util
from functools import partial
from pathlib import Path

import pytest
import torch

from autograder.assurance.answers import solution_cells
from autograder.cells.released import ReleasedNotebook
from autograder.checks import CheckFailed, Draws, LocalCall, load_task
from autograder.controller.course import Course
from tests.kernels.compile_only import compile_for_hopper
from tests.kernels.interpreter import Interpreter
from tests.solutions.test_answers_in_process import failed_checks

ROOT = Path(__file__).resolve().parents[2]
A04 = "a04_flash_attention"


@pytest.fixture(scope="module")
def cell():
    return solution_cells(Course(ROOT), A04)["launch"]


@pytest.fixture(scope="module")
def small():
    """One timed call in half precision, small enough for Triton's interpreter."""
    from autograder.tasks.a04_flash_attention.checks.launch import chain_trial

    return partial(chain_trial, dtype=torch.float16, length=96, dim=64, times=6, some=8)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("causal", [False, True])
def test_the_solution_is_a_fast_kernel_on_hopper(cell, tmp_path, monkeypatch, dtype, head_dim, causal):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)  # what a setup before this one may have left
    file = tmp_path / "cell.py"
    file.write_text("import torch\nimport triton\nimport triton.language as tl\n\n\n" + cell)
    spec = importlib.util.spec_from_file_location(f"cell_{dtype}_{head_dim}_{causal}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pointers = {name: f"*{dtype}" for name in ("q", "k", "v", "out")}
    signature = {**pointers, "scale": "fp32", "num_queries": "i32:16", "num_keys": "i32:16"}
    block_m, block_n, num_warps, num_stages = module.tiles()[head_dim]
    constants = {"D": head_dim, "CAUSAL": causal, "BLOCK_M": block_m, "BLOCK_N": block_n}
    compiled = compile_for_hopper(module.fast_kernel, signature, constants, num_warps=num_warps, num_stages=num_stages)
    assert compiled.faults() == []


def chained(cell, name, args):
    """A chain of the setup with the solution's `fast_attention` in place."""
    namespace: dict = {"__name__": "student"}
    exec(load_task(ROOT / "autograder" / "tasks" / A04).setup, namespace)
    exec(compile(cell, "<launch>", "exec"), namespace)
    return LocalCall(namespace)(name, *args)


def test_every_chain_gives_what_the_judge_computes(cell, small):
    interpreter = Interpreter()
    for name in ("fast_chain", "naive_chain", "sdpa_chain"):
        trial = small(Draws(b"key", name))
        trial.verify(interpreter(chained, cell, name, trial.args))
    interpreter.close()


def test_the_released_stub_passes_nothing():
    stub = ReleasedNotebook.load(Course(ROOT).student_notebook(A04)).stubs["launch"]
    failed = failed_checks(A04, "launch", stub)
    assert set(failed) == {one.name for one in load_task(ROOT / "autograder" / "tasks" / A04).checks["launch"]
                           if one.speed is None and "bfloat16" not in one.name}  # fmt: skip
    assert all("Not written yet" in message for message in failed.values())


@pytest.mark.parametrize(
    ("replaced", "trick"),
    [
        ("for step in range(times):", "for step in range(times - 1):"),  # one launch fewer
        ("attend(unit.roll", "x if step == 4 else attend(unit.roll"),  # one left out
        ("    return x.to(q.dtype)", "    x[:, ::2] = 0\n    return x.to(q.dtype)"),  # half of the rows
        ("roll(step, -1).to(q.dtype), k,", "roll(step, -1).to(EIGHT).to(q.dtype), k.to(EIGHT).to(q.dtype),"),
    ],
)
def test_no_launch_of_a_chain_can_be_left_out_or_be_of_eight_bits(small, replaced, trick):
    setup = load_task(ROOT / "autograder" / "tasks" / A04).setup
    assert setup.count(replaced) == 1
    namespace: dict = {"EIGHT": torch.float8_e4m3fn}
    exec(setup.replace(replaced, trick), namespace)
    trial = small(Draws(b"key", trick))
    with pytest.raises(CheckFailed, match="launches in a row is wrong"):
        trial.verify(LocalCall(namespace)("naive_chain", *trial.args))


def test_no_row_of_a_chain_can_be_left_out(small):
    """The rows that are looked at may be any: an eighth that is missing does not last."""
    namespace: dict = {}
    exec(load_task(ROOT / "autograder" / "tasks" / A04).setup, namespace)
    trials = [small(Draws(b"key", number)) for number in range(9)]
    for first in range(0, 96, 12):
        wrong = 0
        for trial in trials:
            got = LocalCall(namespace)("naive_chain", *trial.args)
            got[:, first : first + 12] = 0
            try:
                trial.verify(got)
            except CheckFailed:
                wrong += 1
        assert wrong, first


def test_an_output_of_nan_is_wrong(small):
    trial = small(Draws(b"key"))
    with pytest.raises(CheckFailed):
        trial.verify(torch.full((2, 96, 64), float("nan"), dtype=torch.float16))
