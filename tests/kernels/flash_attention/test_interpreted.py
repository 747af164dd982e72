"""The kernels run by Triton's interpreter against float64 and against torch."""

import pytest
import torch

from nimblelm.kernels.flash_attention.block_sparse import block_lists
from nimblelm.kernels.flash_attention.reference import attention, attention_gradients
from nimblelm.kernels.flash_attention.simple import simple_flash_attention
from tests.kernels.flash_attention.cases import Case, assert_lse_close, eager, exact
from tests.kernels.flash_attention.interpreted import fast, sparse

F16 = torch.float16
CASES = [
    Case(70, 70, causal=True),
    Case(64, 96, head_dim=64, batch=2),
    Case(33, 75, num_heads=4, group=4, causal=True),
    Case(83, 50, causal=True),  # 33 queries see no key
    Case(50, 83, num_heads=8, group=8),
    Case(40, 41, head_dim=40, causal=True),
    Case(1, 67),
    Case(67, 1, causal=True),
    Case(65, 80, num_heads=4, group=4, causal=True, dtype=F16),
    Case(80, 65, head_dim=128, dtype=F16),
    Case(256, 256, num_heads=1, head_dim=64, causal=True, dtype=F16),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fast_kernels_agree_with_float64(interpreted, case):
    tensors = case.tensors()
    results = interpreted(fast, *tensors, causal=case.causal)
    wanted = exact(case, tensors)
    atol = 2e-6 if case.dtype == torch.float32 else 4e-3
    assert_lse_close(results[1], wanted[1], atol)
    for name, ours, right in zip(
        ("out", "dq", "dk", "dv"), results[:1] + results[2:], wanted[:1] + wanted[2:], strict=True
    ):
        assert ours.dtype == case.dtype
        torch.testing.assert_close(
            ours.double(), right, atol=atol, rtol=2 * atol, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("case", [c for c in CASES if c.dtype == F16], ids=str)
def test_errors_in_fp16_stay_within_twice_those_of_torch(interpreted, case):
    tensors = case.tensors()
    results = interpreted(fast, *tensors, causal=case.causal)
    wanted = exact(case, tensors)
    theirs = eager(case, tensors)
    for name, ours, eager_result, right in zip(
        ("out", "dq", "dk", "dv"), results[:1] + results[2:], theirs, wanted[:1] + wanted[2:], strict=True
    ):
        limit = 2 * (eager_result - right).abs().max() + 2**-14
        assert (ours - right).abs().max() <= limit, name


@pytest.mark.parametrize("case", CASES, ids=str)
def test_teaching_kernel_agrees_with_float64(interpreted, case):
    q, k, v, _ = case.tensors()
    out, lse = interpreted(simple_flash_attention, q, k, v, case.causal, None, 32, 16)
    right, right_lse = attention(q, k, v, case.causal)
    atol = 2e-6 if case.dtype == torch.float32 else 2e-3
    torch.testing.assert_close(out.double(), right, atol=atol, rtol=atol)
    assert_lse_close(lse, right_lse, atol)


def test_rows_that_see_no_key_give_exactly_zero(interpreted):
    case = Case(83, 50, causal=True)
    out, lse, dq, _, _ = interpreted(fast, *case.tensors(), causal=True)
    blind = case.num_queries - case.num_keys
    assert (out[:, :blind] == 0).all()
    assert (dq[:, :blind] == 0).all()
    assert (lse[:, :, :blind] == float("-inf")).all()
    assert lse[:, :, blind:].isfinite().all()


def test_without_keys_the_output_is_zero_whatever_the_queries_hold(interpreted):
    q, none = torch.full((1, 64, 2, 32), 30.0, dtype=F16), torch.zeros(1, 0, 2, 32, dtype=F16)  # their sum overflows
    q[0, 1] = torch.inf
    out, lse, dq, dk, _ = interpreted(fast, q, none, none, torch.ones_like(q))
    assert torch.equal(out, torch.zeros_like(q))
    assert torch.equal(dq, torch.zeros_like(q))
    assert dk.shape == none.shape
    assert (lse == float("-inf")).all()


def test_gradients_agree_with_finite_differences(interpreted):
    """Along random directions, by central differences of the float64 oracle: no formula is shared with the kernels."""
    case = Case(37, 45, num_heads=2, group=2, causal=True)
    q, k, v, dout = case.tensors()
    _, _, *gradients = interpreted(fast, q, k, v, dout, causal=True)
    for which, gradient in enumerate(gradients):
        direction = torch.randn(gradient.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(which))
        losses = []
        for step in (1e-4, -1e-4):
            moved = [x.double() + step * direction if i == which else x for i, x in enumerate((q, k, v))]
            losses.append((attention(*moved, True)[0] * dout).sum())
        slope = (losses[0] - losses[1]) / 2e-4
        torch.testing.assert_close((gradient.double() * direction).sum(), slope, atol=1e-4, rtol=1e-4)


def test_the_log_sum_exp_has_a_gradient_too(interpreted):
    q, k, v, dout = Case(33, 40, causal=True).tensors()
    dlse = torch.randn(1, 2, 33, generator=torch.Generator().manual_seed(1))
    _, _, dq, dk, dv = interpreted(fast, q, k, v, dout, dlse, causal=True)
    inputs = [x.double().requires_grad_() for x in (q, k, v)]
    out, lse = attention(*inputs, True)
    wanted = torch.autograd.grad([out, lse], inputs, [dout.double(), dlse.double()])
    for ours, right in zip((dq, dk, dv), wanted, strict=True):
        torch.testing.assert_close(ours.double(), right, atol=2e-6, rtol=1e-5)


def test_scale_reaches_every_result(interpreted):
    case = Case(33, 40)
    tensors = case.tensors()
    for ours, right in zip(interpreted(fast, *tensors, scale=0.7), exact(case, tensors, 0.7), strict=True):
        torch.testing.assert_close(ours.double(), right, atol=1e-5, rtol=1e-5)


def test_large_scores_neither_overflow_nor_lose_the_small(interpreted):
    q, k, v, dout = Case(40, 48).tensors()
    q, k = 30 * q, 30 * k
    results = interpreted(fast, q, k, v, dout)
    right = attention(q, k, v)
    torch.testing.assert_close(results[0].double(), right[0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(results[1].double(), right[1], atol=1e-2, rtol=1e-6)
    assert all(x.isfinite().all() for x in results)


def test_what_lies_beyond_the_end_is_never_seen(interpreted):
    """Views into larger tensors filled with NaN: a kernel that read past its rows would spread them."""
    case = Case(37, 45, causal=True)
    tensors = []
    for x in case.tensors():
        room = torch.full((2, x.shape[1] + 64, x.shape[2] + 1, x.shape[3] + 8), float("nan"))
        view = room[:1, : x.shape[1], : x.shape[2], : x.shape[3]]
        view.copy_(x)
        tensors.append(view)
    results = interpreted(fast, *tensors, causal=True)
    for ours, right in zip(results, exact(case, case.tensors()), strict=True):
        torch.testing.assert_close(ours.double(), right, atol=2e-6, rtol=1e-5)


def test_strides_that_tma_cannot_move_are_copied(interpreted):
    case = Case(20, 25)
    odd = [torch.stack([x, x], dim=-1).unbind(-1)[0] for x in case.tensors()]  # elements two apart
    assert all(x.stride(-1) == 2 for x in odd)
    for ours, right in zip(interpreted(fast, *odd), exact(case, case.tensors()), strict=True):
        torch.testing.assert_close(ours.double(), right, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("block", "per_head"), [(32, False), (16, True)], ids=["one mask", "a mask a head"])
@pytest.mark.parametrize("case", [CASES[2], CASES[3], Case(50, 83, num_heads=4, group=2, batch=2)], ids=str)
def test_block_sparse_kernels_agree_with_float64(interpreted, case, block, per_head):
    tensors = case.tensors()
    generator = torch.Generator().manual_seed(block)
    rows, columns = -(-case.num_queries // block), -(-case.num_keys // block)
    shape = (case.batch, case.num_heads, rows, columns) if per_head else (1, 1, rows, columns)
    blocks = torch.rand(shape, generator=generator) < 0.5
    blocks[..., 0, :] = False  # a block of queries that sees nothing
    blocks[..., -1] = False  # a block of keys that nobody sees
    visible = blocks.repeat_interleave(block, 2).repeat_interleave(block, 3)[:, :, : case.num_queries, : case.num_keys]
    out, lse, *gradients = interpreted(sparse, *tensors, blocks, block, case.causal)
    right, right_lse = attention(*tensors[:3], case.causal, None, visible)
    assert_lse_close(lse, right_lse, 2e-6)
    wanted = attention_gradients(*tensors, case.causal, None, visible)
    for name, ours, exactly in zip(("out", "dq", "dk", "dv"), (out, *gradients), (right, *wanted), strict=True):
        torch.testing.assert_close(
            ours.double(), exactly, atol=2e-6, rtol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize(("num_keys", "block"), [(32, 64), (96, 64), (160, 128), (70, 64)])
def test_keys_that_end_inside_a_block_are_all_that_is_seen(interpreted, num_keys, block):
    """A tile of the block beyond the last key holds zeros, whose scores would be the largest of all here."""
    case = Case(33, num_keys)
    q, k, v, dout = case.tensors()
    q, k = 8 * q.abs(), -8 * k.abs()
    blocks = torch.ones(1, 1, -(-33 // block), -(-num_keys // block), dtype=torch.bool)
    results = interpreted(sparse, q, k, v, dout, blocks, block)
    for ours, right in zip(results, exact(case, (q, k, v, dout)), strict=True):
        torch.testing.assert_close(ours.double(), right, atol=1e-3, rtol=1e-4)


def test_block_lists_name_each_visible_block_once_in_order():
    blocks = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    counts, indices = block_lists(blocks)
    for at in torch.cartesian_prod(*(torch.arange(n) for n in counts.shape)).tolist():
        listed = indices[tuple(at)][: counts[tuple(at)]].tolist()
        assert listed == blocks[tuple(at)].nonzero().flatten().tolist()


def test_oracle_gradients_agree_with_autograd():
    q, k, v, dout = (x.double() for x in Case(20, 33, num_heads=4, group=2, causal=True).tensors())
    inputs = [x.requires_grad_() for x in (q, k, v)]
    wanted = torch.autograd.grad(attention(*inputs, True)[0], inputs, dout)
    for ours, right in zip(attention_gradients(q, k, v, dout, True), wanted, strict=True):
        torch.testing.assert_close(ours, right, atol=1e-12, rtol=1e-12)
