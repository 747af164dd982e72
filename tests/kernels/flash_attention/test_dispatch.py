"""The functions that the rest of the library calls, on the CPU."""

import subprocess
import sys

import pytest
import torch

from nimblelm.kernels.flash_attention import block_sparse_attention, flash_attention, flash_attention_with_lse
from nimblelm.kernels.flash_attention.configs import config_for
from nimblelm.kernels.flash_attention.launch import triton_flash_attention
from tests.kernels.flash_attention.cases import Case, exact

CASES = [
    Case(20, 33, num_heads=4, group=2, causal=True, batch=2),
    Case(33, 20, causal=True),
    Case(20, 20, num_heads=8, group=8, causal=True),
    Case(20, 33, head_dim=24),
    Case(1, 9, causal=True),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cpu_path_agrees_with_the_oracle_in_value_and_gradient(case):
    q, k, v, dout = case.tensors()
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = flash_attention(*inputs, case.causal)
    gradients = torch.autograd.grad(out, inputs, dout)
    right, right_lse, *right_gradients = exact(case, case.tensors())
    for ours, wanted in zip((out, *gradients), (right, *right_gradients), strict=True):
        torch.testing.assert_close(ours.double(), wanted, atol=2e-6, rtol=1e-5)
    same, lse = flash_attention_with_lse(*inputs, case.causal)
    torch.testing.assert_close(same.double(), right, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(lse.double(), right_lse, atol=2e-6, rtol=1e-5)


def test_lengths_of_zero():
    q, none = torch.randn(1, 3, 2, 32), torch.randn(1, 0, 2, 32)
    assert torch.equal(flash_attention(q, none, none), torch.zeros_like(q))
    assert flash_attention(none, q, q).shape == none.shape
    assert (flash_attention_with_lse(q, none, none)[1] == float("-inf")).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [*CASES, Case(4, 4, head_dim=8, causal=True), Case(1, 9, 4, group=2)], ids=str)
@pytest.mark.parametrize("which", ["q", "k"])
def test_a_nan_reaches_every_query_that_reads_it(case, dtype, which):
    q, k, v, _ = (x.to(dtype) for x in case.tensors())
    {"q": q, "k": k}[which][:, 0] = torch.nan
    nans = flash_attention(q, k, v, case.causal).isnan()
    assert torch.equal(nans, exact(case, (q, k, v, q))[0].isnan())
    first_sees = not case.causal or case.num_queries <= case.num_keys
    assert nans.any() == (which == "k" or first_sees)


@pytest.mark.parametrize("causal", [False, True])
def test_without_keys_every_gradient_is_zero(causal):
    inputs = [torch.randn(1, length, 2, 32, requires_grad=True) for length in (3, 0, 0)]
    for x, gradient in zip(inputs, torch.autograd.grad(flash_attention(*inputs, causal).sum(), inputs), strict=True):
        assert torch.equal(gradient, torch.zeros_like(x))


def test_block_mask_hides_whole_blocks():
    q, k, v, _ = Case(40, 50).tensors()
    blocks = torch.tensor([[True, False, True, False], [False, True, False, True], [True, True, False, False]])[
        None, None
    ]
    out, _ = block_sparse_attention(q, k, v, blocks, block=16)
    for row, seen in ((5, [*range(16), *range(32, 48)]), (20, [*range(16, 32), 48, 49]), (39, [*range(32)])):
        alone = flash_attention(q[:, row : row + 1], k[:, seen], v[:, seen])
        torch.testing.assert_close(out[:, row : row + 1], alone)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q: flash_attention(q, q[:, :, :3], q[:, :, :3]), "4 query heads"),
        (lambda q: triton_flash_attention(q[..., :20], q[..., :20], q[..., :20]), "head_dim 20"),
        (lambda q: triton_flash_attention(q, q.half(), q), "torch.float16"),
        (lambda q: triton_flash_attention(q, q, q, scale=-1.0), "scale -1.0"),
        (lambda q: config_for(136, False, torch.float16), "head_dim 136"),
        (lambda q: config_for(64, False, torch.float64), "torch.float64"),
        (lambda q: block_sparse_attention(q, q, q, torch.ones(1, 1, 2, 2, dtype=torch.bool), 48), "block 48"),
        (
            lambda q: block_sparse_attention(q, q, q, torch.ones(1, 1, 2, 2, dtype=torch.bool), 16),
            "1 or 1, 1 or 4, 1, 1",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.randn(1, 10, 4, 32))


def test_the_library_imports_where_there_is_no_triton():
    program = (
        "import sys; sys.modules['triton'] = None; import nimblelm.kernels.flash_attention as f; print(f.__name__)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "nimblelm.kernels.flash_attention\n", ended.stderr
