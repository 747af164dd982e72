"""Tiled attention in torch, forward and backward, against float64 and against torch's own gradients."""

import pytest
import torch

from nimblelm.kernels.flash_attention.tiled import tiled_attention, tiled_attention_gradients
from tests.kernels.flash_attention.cases import Case, assert_lse_close, eager, exact

F64 = torch.float64
CASES = [
    Case(70, 70, causal=True),
    Case(33, 75, num_heads=4, group=4, causal=True, batch=2),
    Case(83, 50, num_heads=4, group=2, causal=True),  # 33 queries see no key
    Case(50, 83, num_heads=8, group=8),
    Case(1, 67),
    Case(67, 1, causal=True),
    Case(40, 41, causal=True, dtype=F64),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("blocks", [(16, 24), (17, 13), (256, 512)])
def test_agrees_with_float64(case, blocks):
    q, k, v, dout = case.tensors()
    wanted = exact(case, (q, k, v, dout))
    out, lse = tiled_attention(q, k, v, case.causal, None, *blocks)
    gradients = tiled_attention_gradients(q, k, v, out, lse, dout, case.causal, None, *blocks)
    atol = 1e-12 if case.dtype == F64 else 5e-6
    assert_lse_close(lse, wanted[1], atol)
    for ours, right in zip((out, *gradients), (wanted[0], *wanted[2:]), strict=True):
        assert ours.dtype == case.dtype
        torch.testing.assert_close(ours.double(), right, atol=atol, rtol=2 * atol)


def test_gradients_agree_with_autograd_of_the_plain_formula():
    case = Case(37, 45, num_heads=4, group=2, causal=True, dtype=F64)
    q, k, v, dout = case.tensors()
    out, lse = tiled_attention(q, k, v, True, 0.3, 16, 8)
    ours = tiled_attention_gradients(q, k, v, out, lse, dout, True, 0.3, 16, 8)
    for mine, right in zip((out, *ours), eager(case, (q, k, v, dout), scale=0.3), strict=True):
        torch.testing.assert_close(mine, right)


def test_gradients_over_parts_of_the_keys_add_up():
    """Only a pass that uses the saved sums, and no softmax of its own, has this property."""
    q, k, v, dout = Case(20, 30, dtype=F64).tensors()
    out, lse = tiled_attention(q, k, v)
    whole = tiled_attention_gradients(q, k, v, out, lse, dout)
    parts = [tiled_attention_gradients(q, k[:, p], v[:, p], out, lse, dout) for p in (slice(0, 11), slice(11, 30))]
    torch.testing.assert_close(parts[0][0] + parts[1][0], whole[0])
    for i in (1, 2):
        torch.testing.assert_close(torch.cat([part[i] for part in parts], dim=1), whole[i])


def test_bad_arguments_are_refused():
    q, k, v, _ = Case(8, 8, num_heads=3).tensors()
    with pytest.raises(ValueError, match="3 query heads are not a multiple of 2"):
        tiled_attention(q, k[:, :, :2], v[:, :, :2])
    with pytest.raises(ValueError, match="blocks are 0 and 8"):
        tiled_attention(q, k, v, block_m=0, block_n=8)
