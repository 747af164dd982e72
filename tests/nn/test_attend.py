"""Attention as an argument: scores that half precision does not hold, and masks that are none."""

import jaxtyping
import pytest
import torch

from nimblelm.inference.medusa.tree_attention import tree_attention
from nimblelm.kernels.flash_attention import reference
from nimblelm.nn.attend import biased, masked, recorded
from nimblelm.nn.attention import Attention
from nimblelm.nn.relative_positions import RelativeBias


@pytest.mark.parametrize("visible", [None, torch.ones(5, 5, dtype=torch.bool).tril()])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_recorded_maps_are_those_of_float64_where_products_leave_float16(dtype, visible):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 5, 2, 64, generator=generator) for _ in range(3))
    q, k, v, maps = (40 + q / 9).to(dtype), (40 + k / 9).to(dtype), v.to(dtype), []  # q . k is about 100 000
    got = recorded(maps, visible)(q, k, v)
    want, _ = reference.attention(q, k, v, visible=None if visible is None else visible[None, None])
    torch.testing.assert_close(got.double(), want, atol=0.02, rtol=0.02)
    (weights,) = maps
    assert weights.dtype == got.dtype == dtype
    torch.testing.assert_close(weights.double().sum(-1), torch.ones(1, 2, 5).double(), atol=0.02, rtol=0.02)


SEEN = torch.ones(3, 3).tril()


@pytest.fixture
def unchecked():
    """Without the types that tests check, as outside of them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("make", [masked, lambda visible: recorded([], visible)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.uint8])
@pytest.mark.usefixtures("unchecked")
def test_a_mask_of_zeros_and_ones_is_no_mask(make, dtype):
    with pytest.raises(ValueError, match="booleans are needed"):
        make(SEEN.to(dtype))


@pytest.mark.usefixtures("unchecked")
def test_a_tree_of_zeros_and_ones_is_none():
    x = torch.randn(1, 3, 2, 4)
    with pytest.raises(ValueError, match="booleans are needed"):
        tree_attention(x, x, x, SEEN)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
@pytest.mark.usefixtures("unchecked")
def test_a_mask_is_no_bias(dtype):
    with pytest.raises(ValueError, match="numbers that are added to scores"):
        biased(SEEN.to(dtype))


@pytest.mark.parametrize("make", [masked, biased, lambda visible: recorded([], visible)])
@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 4), (3, 1, 3, 5), (2, 3, 3, 5), (1, 1, 1, 3, 5)])
@pytest.mark.usefixtures("unchecked")
def test_a_mask_that_does_not_fit_is_named(make, shape):
    q, k = torch.randn(2, 3, 4, 8), torch.randn(2, 5, 2, 8)
    mask = torch.ones(shape, dtype=torch.float32 if make is biased else torch.bool)
    with pytest.raises(ValueError, match=r"does not fit scores \(2, 4, 3, 5\)"):
        make(mask)(q, k, k)


@pytest.mark.parametrize("shape", [(3, 5), (1, 5), (2, 1, 1, 5), (1, 4, 3, 5), (4, 3, 5)])
def test_a_mask_stands_for_all_that_it_does_not_tell_apart(shape):
    generator = torch.Generator().manual_seed(1)
    q, k, v = torch.randn(2, 3, 4, 8, generator=generator), *torch.randn(2, 2, 5, 2, 8, generator=generator)
    visible = torch.rand(shape, generator=generator) < 0.7
    want, _ = reference.attention(q, k, v, visible=visible.expand(2, 4, 3, 5))
    hidden = torch.zeros(shape).masked_fill(~visible, float("-inf"))
    for attend in (masked(visible), recorded([], visible), biased(hidden)):
        torch.testing.assert_close(attend(q, k, v).double(), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sizes", [{"num_kv_heads": 0}, {"head_dim": 0}, {"head_dim": -4}, {"d_context": 0}])
def test_a_size_of_zero_is_not_the_default(sizes):
    with pytest.raises(ValueError, match="must be 1 or more"):
        Attention(16, 4, **sizes)


@pytest.mark.parametrize(
    ("bidirectional", "buckets", "distance"), [(True, 3, 128), (False, 1, 128), (False, 8, 4), (True, 32, 8)]
)
def test_buckets_that_hold_no_distances_are_refused(bidirectional, buckets, distance):
    with pytest.raises(ValueError, match=f"max_distance {distance} above"):
        RelativeBias(2, bidirectional, buckets, distance)
