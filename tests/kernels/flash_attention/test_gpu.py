"""On a GPU: accuracy in all dtypes, exact integers, repeatability, memory, sizes beyond 2^31."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nimblelm.kernels.flash_attention import block_sparse_attention, flash_attention, flash_attention_with_lse
from nimblelm.kernels.flash_attention.reference import attention, attention_gradients
from nimblelm.kernels.flash_attention.simple import simple_flash_attention
from tests.kernels.accuracy import RMSE_LIMIT, assert_accurate, errors
from tests.kernels.flash_attention.cases import Case, assert_lse_close, eager, exact
from tests.kernels.flash_attention.interpreted import results

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).resolve().parents[3]
CASES = [
    Case(num_queries, num_keys, num_heads, group, head_dim, causal, batch=2, dtype=dtype)
    for dtype in RMSE_LIMIT
    for causal in (False, True)
    for num_queries, num_keys, num_heads, group, head_dim in [
        (1024, 1024, 8, 1, 128),
        (1000, 1111, 8, 4, 128),
        (513, 1025, 8, 8, 64),
        (300, 300, 4, 1, 32),
        (257, 500, 4, 2, 96),
        (130, 131, 2, 1, 40),
        (1, 777, 8, 4, 64),
    ]
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_errors_are_at_most_twice_those_of_eager_attention(case):
    tensors = case.tensors("cuda")
    q, k, v, dout = tensors
    out, lse, *gradients = results(lambda *x: flash_attention_with_lse(*x, causal=case.causal), *tensors)
    right, right_lse, *right_gradients = exact(case, tensors)
    assert_lse_close(lse, right_lse, 1e-5 if case.dtype == torch.float32 else 1e-3)
    theirs = eager(case, [q, k, v, dout])
    for name, ours, eagers, exactly in zip(
        ("out", "dq", "dk", "dv"), (out, *gradients), theirs, (right, *right_gradients), strict=True
    ):
        assert_accurate(ours, eagers, exactly, name)


@pytest.mark.parametrize("dtype", RMSE_LIMIT, ids=str)
def test_queries_that_see_no_key(dtype):
    case = Case(500, 300, 4, 2, 64, True, dtype=dtype)
    tensors = case.tensors("cuda")
    ours = results(lambda *x: flash_attention_with_lse(*x, causal=True), *tensors)
    wanted = exact(case, tensors)
    assert_lse_close(ours[1], wanted[1], 1e-3)
    assert (ours[0][:, :200] == 0).all()
    assert (ours[2][:, :200] == 0).all()
    for result, right in zip(ours[:1] + ours[2:], wanted[:1] + wanted[2:], strict=True):
        assert errors(result, right)[1] <= RMSE_LIMIT[dtype]


@pytest.mark.parametrize("ptxas", ["bundled", "TRITON_PTXAS_PATH"])
def test_integers_come_out_exactly(ptxas):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
    if ptxas == "bundled":
        environment.pop("TRITON_PTXAS_PATH", None)
    elif ptxas not in environment:
        pytest.skip("TRITON_PTXAS_PATH names no other assembler")
    program = [sys.executable, "-m", "tests.kernels.flash_attention.integers"]
    ended = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.stdout == "exact\n", ended.stderr[-3000:]


@pytest.mark.parametrize("case", [c for c in CASES if c.dtype == torch.bfloat16][::3], ids=str)
def test_results_and_gradients_repeat_bit_by_bit(case):
    tensors = case.tensors("cuda")

    def once():
        return results(lambda *x: flash_attention_with_lse(*x, causal=case.causal), *tensors)

    first = once()
    for _ in range(10):
        assert all(torch.equal(a, b) for a, b in zip(first, once(), strict=True))


def test_rows_of_a_batch_give_the_bits_of_their_single_runs():
    case = Case(300, 400, 8, 4, 128, True, batch=3, dtype=torch.bfloat16)
    q, k, v, _ = case.tensors("cuda")
    together = flash_attention(q, k, v, True)
    for row in range(3):
        one = slice(row, row + 1)
        assert torch.equal(flash_attention(q[one], k[one], v[one], True), together[one])


def test_memory_grows_with_the_length_and_not_with_its_square():
    extra = []
    for length in (4096, 16_384):
        inputs = [
            torch.randn(1, length, 8, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3)
        ]
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        out = flash_attention(*inputs, causal=True)
        torch.autograd.grad(out, inputs, torch.ones_like(out))
        extra.append(torch.cuda.max_memory_allocated() - before)
        del out, inputs
    assert math.log(extra[1] / extra[0]) / math.log(4) <= 1.05


def test_views_of_one_projection_need_no_copies():
    packed = torch.randn(2, 300, 8 + 2 * 2, 64, device="cuda", dtype=torch.bfloat16)
    q, k, v = packed.split([8, 2, 2], dim=2)
    right, _ = attention(q, k, v, True)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    out = flash_attention(q, k, v, True)
    assert errors(out, right)[1] <= RMSE_LIMIT[torch.bfloat16]
    lse_bytes = 2 * 8 * 300 * 4
    assert torch.cuda.max_memory_allocated() - before <= out.nbytes + lse_bytes + 4096


def test_tensors_of_more_than_2_to_the_31_elements():
    """The last rows of a tensor whose offsets no 32-bit number holds, against the same rows alone."""
    length = 2**31 // (64 * 128) + 300
    far = torch.zeros(1, length, 64, 128, device="cuda", dtype=torch.bfloat16)
    near = torch.randn(1, 200, 64, 128, device="cuda", dtype=torch.bfloat16)
    far[:, -256:].normal_()
    last = far[:, -256:].clone()
    assert torch.equal(flash_attention(far, near, near)[:, -256:], flash_attention(last, near, near))
    # as keys: with a huge score each, only the last 256 count
    far[..., 0], near[..., 0], last[..., 0] = -1000.0, 1.0, 1.0
    far[:, -256:, :, 0] = 1.0
    torch.testing.assert_close(flash_attention(near, far, far, scale=1.0), flash_attention(near, last, last, scale=1.0))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("block", [64, 128])
def test_block_sparse_kernels(block, causal):
    case = Case(1000, 1100, 8, 4, 128, causal, batch=2, dtype=torch.bfloat16)
    tensors = case.tensors("cuda")
    shape = (2, 8, -(-1000 // block), -(-1100 // block))
    blocks = torch.rand(shape, generator=torch.Generator().manual_seed(0)).cuda() < 0.4
    visible = blocks.repeat_interleave(block, 2).repeat_interleave(block, 3)[:, :, :1000, :1100]
    out, lse, *gradients = results(lambda *x: block_sparse_attention(*x, blocks, block, causal), *tensors)
    right, right_lse = attention(*tensors[:3], causal, None, visible)
    assert_lse_close(lse, right_lse, 1e-3)
    wanted = attention_gradients(*tensors, causal, None, visible)
    for ours, exactly in zip((out, *gradients), (right, *wanted), strict=True):
        assert errors(ours, exactly)[1] <= RMSE_LIMIT[torch.bfloat16]


@pytest.mark.parametrize("dtype", RMSE_LIMIT, ids=str)
def test_teaching_kernel(dtype):
    q, k, v, _ = Case(500, 600, 8, 4, 64, True, dtype=dtype).tensors("cuda")
    out, lse = simple_flash_attention(q, k, v, True)
    right, right_lse = attention(q, k, v, True)
    assert errors(out, right)[1] <= RMSE_LIMIT[dtype]
    assert_lse_close(lse, right_lse, 1e-3)


def test_a_captured_graph_gives_the_bits_of_the_calls():
    q, k, v, _ = Case(300, 300, 8, 2, 128, True, dtype=torch.bfloat16).tensors("cuda")
    called = flash_attention(q, k, v, True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = flash_attention(q, k, v, True)
    for _ in range(3):
        out.zero_()
        graph.replay()
        assert torch.equal(out, called)
