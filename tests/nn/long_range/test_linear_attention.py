"""Linear attention: recurrent, chunked and quadratic forms are one function."""

import math

import pytest
import torch

from nimblelm.nn.long_range.linear_attention import (
    causal_kernel_attention,
    elu_features,
    kernel_attention,
    linear_attention,
    linear_step,
    log_elu_features,
    log_kernel_attention,
)
from nimblelm.nn.long_range.performer import log_softmax_features, orthogonal_directions, performer_attention
from tests.nn.long_range.cases import tensors


def quadratic(q, k, v, causal):
    """The definition, with every weight in memory."""
    weights = torch.einsum("bihm,bjhm->bhij", elu_features(q), elu_features(k))
    weights = weights.tril() if causal else weights
    return torch.einsum("bhij,bjhd->bihd", weights / weights.sum(-1, keepdim=True), v)


@pytest.mark.parametrize("length", [1, 7, 64, 65, 150])
@pytest.mark.parametrize("causal", [False, True])
def test_linear_form_equals_the_quadratic_one(length, causal):
    q, k, v = tensors(length)
    torch.testing.assert_close(linear_attention(q, k, v, causal), quadratic(q, k, v, causal))


@pytest.mark.parametrize("chunk", [1, 5, 200])
def test_chunks_do_not_change_the_result(chunk):
    q, k, v = tensors(33)
    out = causal_kernel_attention(elu_features(q), elu_features(k), v, chunk)
    torch.testing.assert_close(out, quadratic(q, k, v, True))


def test_recurrent_equals_parallel():
    q, k, v = tensors(40)
    state, outs = None, []
    for i in range(40):
        out, state = linear_step(state, elu_features(q[:, i]), elu_features(k[:, i]), v[:, i])
        outs.append(out)
    torch.testing.assert_close(torch.stack(outs, 1), linear_attention(q, k, v, causal=True))
    torch.testing.assert_close(outs[-1], kernel_attention(elu_features(q), elu_features(k), v)[:, -1])


def test_the_state_does_not_grow():
    q, k, v = tensors(20)
    state = None
    for i in range(20):
        _, state = linear_step(state, elu_features(q[:, i]), elu_features(k[:, i]), v[:, i])
        assert state.weighted.shape == (2, 2, 8, 8)
        assert state.total.shape == (2, 2, 8)


def test_a_prefix_never_changes_past_output():
    q, k, v = tensors(100)
    before = linear_attention(q[:, :70], k[:, :70], v[:, :70], causal=True)
    torch.testing.assert_close(linear_attention(q, k, v, causal=True)[:, :70], before)


@pytest.mark.parametrize("huge", [1e10, 1e30, float("inf")])
def test_a_later_key_changes_nothing_however_large_it_is(huge):
    q, k, v = torch.ones(1, 128, 1, 1), torch.ones(1, 128, 1, 1), torch.zeros(1, 128, 1, 1)
    v[:, :64] = 1
    k[0, 127] = huge
    out = causal_kernel_attention(q, k, v)[0, :127, 0, 0]
    expected = torch.arange(1, 128).clamp(max=64) / torch.arange(1, 128)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("at", [3, 70, 127])
@pytest.mark.parametrize("kind", ["elu", "Performer"])
def test_the_past_is_kept_before_keys_with_larger_features(kind, at):
    """float32 against float64 at the positions before them, which a maximum over all keys would lose."""
    q, k, v = (x.float() for x in tensors(128))
    k[:, :at] *= 12
    directions = orthogonal_directions(16, 8, torch.Generator().manual_seed(0))

    def attend(dtype, end=128):
        query, key, value = (x[:, :end].to(dtype) for x in (q, k, v))
        if kind == "elu":
            return linear_attention(query, key, value, causal=True)
        return performer_attention(query, key, value, directions.to(dtype), causal=True)

    alone = attend(torch.float64, at)
    torch.testing.assert_close(attend(torch.float32)[:, :at].double(), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "x"), [(torch.float32, -18.0), (torch.float32, -80.0), (torch.bfloat16, -8.0), (torch.float16, -10.0)]
)
def test_features_are_positive_to_the_last_digit(dtype, x):
    exact = elu_features(torch.tensor([x, 3.0], dtype=torch.float64))
    assert exact[0] == pytest.approx(math.exp(x))
    eps = torch.finfo(dtype).eps
    ours = elu_features(torch.tensor([x, 3.0], dtype=dtype))
    torch.testing.assert_close(ours.double(), exact, atol=2**-24 if dtype == torch.float16 else 0, rtol=4 * eps)
    torch.testing.assert_close(log_elu_features(torch.tensor([x, 3.0])).double(), exact.log(), atol=0, rtol=1e-5)


def test_features_have_the_gradient_of_elu_on_both_sides_of_zero():
    x = torch.tensor([-300.0, -2.0, 0.0, 2.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(elu_features(x).sum(), x)
    torch.testing.assert_close(gradient, torch.tensor([0.0, math.exp(-2), 1.0, 1.0]))
    (gradient,) = torch.autograd.grad(log_elu_features(x).sum(), x)
    torch.testing.assert_close(gradient, torch.tensor([1.0, 1.0, 1.0, 1 / 3]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [-8.0, -20.0, -200.0])
def test_small_features_give_finite_attention(size, causal, dtype):
    q, k = torch.full((1, 5, 1, 4), size), torch.randn(1, 5, 1, 4)
    k[:, 0] = size
    v = torch.randn(1, 5, 1, 4)
    q, k, v = (x.to(dtype) for x in (q, k, v))
    exact = linear_attention(q.double(), k.double(), v.double(), causal)
    out = linear_attention(q, k, v, causal)
    assert out.dtype == dtype
    torch.testing.assert_close(out.double(), exact, atol=4 * torch.finfo(dtype).eps, rtol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_long_sums_do_not_stand_still_in_half_precision(dtype):
    ones = torch.ones(1, 1000, 1, 1, dtype=dtype)
    v = (torch.arange(1000) >= 500).to(dtype)[None, :, None, None]
    state = None
    for i in range(1000):
        out, state = linear_step(state, ones[:, i], ones[:, i], v[:, i])
    assert out.item() == pytest.approx(0.5, rel=0.01)
    assert causal_kernel_attention(ones, ones, v)[0, -1].item() == pytest.approx(0.5, rel=0.01)
    assert kernel_attention(1000 * ones, 1000 * ones, v)[0, -1].item() == pytest.approx(0.5, rel=0.01)


def test_logarithms_of_features_give_the_same_attention_as_features():
    q, k, v = tensors(70)
    directions = orthogonal_directions(16, 8, torch.Generator().manual_seed(0)).double()
    q_log, k_log = (log_softmax_features(x, directions) for x in (q, k))
    full, causal = (log_kernel_attention(q_log, k_log, v, causal) for causal in (False, True))
    torch.testing.assert_close(full, kernel_attention(q_log.exp(), k_log.exp(), v))
    torch.testing.assert_close(causal, causal_kernel_attention(q_log.exp(), k_log.exp(), v))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["elu", "Performer"])
def test_weights_that_are_all_far_below_the_largest_features_do_not_vanish(kind, causal):
    """The query is large where every key is small: one key gets its value back, of two the heavier one decides."""
    q = torch.full((1, 40, 1, 8), 150.0)
    q[..., 4:] = -150.0
    k, v = -q, torch.randn(1, 40, 1, 8, generator=torch.Generator().manual_seed(0))
    k = k + torch.randn(k.shape, generator=torch.Generator().manual_seed(1))
    directions = orthogonal_directions(16, 8, torch.Generator().manual_seed(0))

    def attend(end, dtype=torch.float32):
        query, key, value = (x[:, :end].to(dtype) for x in (q, k, v))
        if kind == "elu":
            return linear_attention(query, key, value, causal)
        return performer_attention(query / 4, key / 4, value, directions.to(dtype), causal)

    torch.testing.assert_close(attend(1), v[:, :1])
    torch.testing.assert_close(attend(40).double(), attend(40, torch.float64), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("causal", [False, True])
def test_logarithms_are_right_against_every_weight_in_memory(causal):
    """Features over hundreds of orders of magnitude, some of them 0, against sums of logarithms in float64."""
    generator = torch.Generator().manual_seed(0)
    q, k = (200 * torch.randn(2, 50, 2, 6, generator=generator) for _ in range(2))
    v = torch.randn(2, 50, 2, 8, generator=generator)
    k[:, :, 0, 2] = -torch.inf
    k[:, 1:20, 1, 3] = -torch.inf
    scores = (q.double()[:, :, None] + k.double()[:, None]).logsumexp(-1)  # (B, i, j, H)
    if causal:
        scores = scores.masked_fill(torch.ones(50, 50, dtype=torch.bool).triu(1)[..., None], -torch.inf)
    right = torch.einsum("bijh,bjhd->bihd", scores.softmax(2), v.double())
    torch.testing.assert_close(log_kernel_attention(q, k, v, causal).double(), right, atol=2e-4, rtol=2e-4)
