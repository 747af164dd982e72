"""Run-time shape and type checks for every public signature of the library, skips for what a machine lacks, and turns.

Workers of pytest-xdist have one thread of torch each, and tests that time something run alone (`tests/turns.py`).
"""

import ast
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import jaxtyping._import_hook as hook
import pytest

from tests.kernels.interpreter import Interpreter
from tests.turns import Turns

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# Files whose tests read clocks, deadlines or CPU time. They run last, alone, and a figure that a neighbour outside of
# this run spoiled is taken again: what is wrong is wrong three times.
ALONE = {
    "autograder/test_callbacks.py",
    "autograder/test_device.py",
    "autograder/test_hostile_worker.py",
    "autograder/test_needed_devices.py",
    "autograder/test_remote.py",
    "autograder/test_remote_limits.py",
    "autograder/test_sandbox.py",
    "autograder/test_worker_process.py",
    "autograder/test_timing.py",
    "benchmarks/test_bench_fair_timing.py",
    "benchmarks/test_bench_grading.py",
}
TOGETHER = {  # what all tests of a file share takes seconds: one worker makes it
    "autograder/test_record.py",
    "autograder/test_sample_class.py",
    "autograder/test_slurm.py",
    "book/test_clean_notebooks.py",
    "book/test_exercises.py",
    "book/test_landing.py",
    "book/test_links.py",
    "book/test_print_book.py",
    "book/test_reading.py",
    "solutions/test_pasted_answers.py",
}
FIRST = ("book/test_build.py", "test_style.py")  # long; of what waits for the site, the rest comes later

_opted_out = hook._is_no_type_check
# a kernel is source text for Triton, never called as Python: a wrapper would hide its globals from the compiler
hook._is_no_type_check = lambda node: _opted_out(node) or ast.unparse(node).startswith(("triton.", "gluon."))
if find_spec("beartype"):  # a GPU node may lack it
    hook.install_import_hook("nimblelm", "beartype.beartype")


def file_of(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).as_posix()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    import torch

    for item in items:
        if file_of(item) in ALONE:
            item.add_marker(pytest.mark.xdist_group("alone"))
            item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=["AssertionError"]))
        elif file_of(item) in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(file_of(item)))
        if {"slow", "release"} & set(item.keywords) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(7200 if "release" in item.keywords else 2400))
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
    items.sort(key=lambda item: (file_of(item) in ALONE, file_of(item) not in FIRST))  # otherwise as they were


def pytest_configure(config):
    if worker := getattr(config, "workerinput", None):
        config.turns = Turns(Path(tempfile.gettempdir()) / f"turns-{worker['testrunuid']}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """The whole of a test, its fixtures included, is a turn."""
    if not hasattr(item.config, "turns"):
        return (yield)
    with item.config.turns.turn(alone=file_of(item) in ALONE):
        return (yield)


@pytest.fixture(scope="session")
def interpreted():
    """`interpreted(function, *args)` calls the function where kernels run on the CPU, in fp16 and fp32 only.

    `tl.dot` on bf16 multiplies raw bits there, without an error.
    """
    interpreter = Interpreter()
    yield interpreter
    interpreter.close()
