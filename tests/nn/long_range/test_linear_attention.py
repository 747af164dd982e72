"""Linear attention: recurrent, chunked and quadratic forms are one function."""

import pytest
import torch

from nimblelm.nn.long_range.linear_attention import (
    causal_kernel_attention,
    elu_features,
    kernel_attention,
    linear_attention,
    linear_step,
)
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
