"""The kernels under the interpreter, against float64 and against torch's attention in the same dtype."""

import numpy
import pytest
import torch

from nimblelm.kernels.flash_decoding import launch as kernels
from nimblelm.kernels.flash_decoding import reference
from tests.kernels.accuracy import assert_accurate
from tests.kernels.flash_decoding.cases import CASES, Case, eager


def split_sums(q, keys, values, lengths):
    """Called in the interpreter's process: the result and the number of splits that the cache was cut into."""
    return kernels.flash_decoding(q, keys, values, lengths), -(-keys.shape[1] // kernels.split_rows(keys.shape[1]))


def with_nan_in_fresh_memory(*tensors):
    """Called in the interpreter's process: what the first kernel leaves unwritten, the second must not read."""
    torch.use_deterministic_algorithms(True)  # fills torch.empty with nan
    try:
        return kernels.flash_decoding(*tensors)
    finally:
        torch.use_deterministic_algorithms(False)


def with_invalid_arithmetic_forbidden(*tensors):
    """Called in the interpreter's process: -inf minus -inf raises, even where its nan would be discarded."""
    with numpy.errstate(invalid="raise"):
        return kernels.flash_decoding(*tensors)


def of_a_layer(cache, layer, rows, q, lengths):
    """As a decoder calls it: on views of a cache of all layers, cut at some row."""
    keys, values = cache[0, layer, :, :rows], cache[1, layer, :, :rows]
    return kernels.flash_decoding(q, keys, values, lengths)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_error_is_at_most_twice_that_of_eager_attention(interpreted, case, dtype):
    tensors = case.tensors(dtype)
    exact = reference.flash_decoding(*(t.double() for t in tensors[:3]), tensors[3])
    out = interpreted(kernels.flash_decoding, *tensors)
    assert out.dtype == dtype
    assert_accurate(out, eager(*tensors), exact)


def test_a_scale_of_its_own(interpreted):
    tensors = CASES[1].tensors()
    out = interpreted(kernels.flash_decoding, *tensors, 0.4)
    torch.testing.assert_close(out, eager(*tensors, 0.4), atol=5e-6, rtol=0)


def test_queries_that_see_nothing_give_zero(interpreted):
    out, num_splits = interpreted(split_sums, *Case((2, 0, -1), T=3).tensors())
    assert num_splits == 4
    assert not out[0, 0].any()
    assert out[0, 1].any()
    assert not out[1:].any()


@pytest.mark.parametrize("case", [CASES[0], CASES[1]], ids=str)
def test_what_empty_splits_leave_unwritten_is_never_read(interpreted, case):
    tensors = case.tensors()
    torch.testing.assert_close(interpreted(with_nan_in_fresh_memory, *tensors), eager(*tensors), atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", [CASES[0], CASES[1]], ids=str)
@pytest.mark.parametrize("which", ["q", "keys", "values"])
def test_a_nan_reaches_every_query_that_reads_it_and_no_other(interpreted, case, which):
    q, keys, values, lengths = case.tensors()
    spoilt = {"q": q, "keys": keys, "values": values}[which]
    spoilt[0, 0, 0, 0] = torch.nan  # the first query of its head, or a row that all queries of the sequence see
    expected = reference.flash_decoding(q, keys, values, lengths).isnan()
    assert expected.any()
    assert torch.equal(interpreted(with_nan_in_fresh_memory, q, keys, values, lengths).isnan(), expected)
    assert torch.equal(interpreted(kernels.flash_decoding, q, keys, values, lengths).isnan(), expected)


@pytest.mark.parametrize("case", [CASES[0], CASES[1]], ids=str)
def test_no_nan_arises_on_the_way(interpreted, case):
    tensors = case.tensors()
    out = interpreted(with_invalid_arithmetic_forbidden, *tensors)
    torch.testing.assert_close(out, eager(*tensors), atol=1e-6, rtol=0)


def test_scores_far_from_zero_neither_overflow_nor_vanish(interpreted):
    q, keys, values, lengths = Case((200, 70)).tensors(stale=0.0)
    for factor in (300.0, -300.0):
        shifted = keys + factor * q / q.square().sum(-1, keepdim=True).sqrt()  # adds about the same to every score
        out = interpreted(kernels.flash_decoding, q, shifted, values, lengths)
        exact = reference.flash_decoding(q.double(), shifted.double(), values.double(), lengths)
        torch.testing.assert_close(out.double(), exact, atol=2e-4, rtol=0)  # float32 keeps 300 to 3e-5


def test_uniform_weights_count_integers_exactly(interpreted):
    q, keys, values, _ = Case((256,), T=2, H=4, group=2, S=256).tensors(torch.float16)
    values = torch.randint(-8, 9, values.shape).half()
    out = interpreted(kernels.flash_decoding, q * 0, keys, values, torch.tensor([256], dtype=torch.int32))
    sums = torch.stack([values[:, :255].double().sum(1), values.double().sum(1)], 1).repeat_interleave(2, 2)
    assert torch.equal(out[:, 1], (sums[:, 1] / 256).half())
    torch.testing.assert_close(out[:, 0].double(), sums[:, 0] / 255, atol=1e-3, rtol=1e-3)


def test_results_repeat_bit_by_bit(interpreted):
    tensors = CASES[1].tensors(torch.float16)
    first, second = (interpreted(kernels.flash_decoding, *tensors) for _ in range(2))
    assert torch.equal(first, second)


def test_a_sequence_gives_the_same_bits_alone_and_in_a_batch(interpreted):
    *tensors, lengths = Case((130, 7, 199), T=2, group=2, S=200).tensors(torch.float16)
    together = interpreted(kernels.flash_decoding, *tensors, lengths)
    for row in range(3):
        alone = interpreted(kernels.flash_decoding, *(t[row : row + 1] for t in tensors), lengths[row : row + 1])
        assert torch.equal(alone[0], together[row])


def test_a_block_of_drafts_equals_its_tokens_one_by_one(interpreted):
    q, keys, values, lengths = Case((130, 68), T=4, group=2).tensors(stale=0.0)
    block = interpreted(kernels.flash_decoding, q, keys, values, lengths)
    for token in range(4):
        alone = interpreted(kernels.flash_decoding, q[:, token : token + 1], keys, values, lengths - 3 + token)
        torch.testing.assert_close(alone[:, 0], block[:, token], atol=1e-6, rtol=0)


def test_views_of_a_larger_cache(interpreted):
    cache = torch.randn(2, 3, 2, 160, 2, 32)  # keys and values, layers, batch, rows, heads, dimensions
    q, lengths = torch.randn(2, 2, 4, 32), torch.tensor([100, 3], dtype=torch.int32)
    out = interpreted(of_a_layer, cache, 1, 100, q, lengths)
    expected = eager(q, cache[0, 1, :, :100], cache[1, 1, :, :100], lengths)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)


def test_strides_that_the_kernel_cannot_follow_are_refused():
    q, keys, values, lengths = Case((5,), S=8).tensors()
    apart = torch.empty(1, 8, 4, 64)[..., ::2]
    for wrong in ((apart, apart), (keys, values.transpose(1, 2).contiguous().transpose(1, 2))):
        with pytest.raises(ValueError, match="strides"):
            kernels.flash_decoding(q, *wrong, lengths)


@pytest.mark.parametrize("num_rows", [1, 63, 64, 65, 2048, 4097, 16384, 131072])
def test_splits_are_few_and_none_is_too_small(num_rows):
    rows = kernels.split_rows(num_rows)
    assert rows & (rows - 1) == 0
    assert 64 <= rows <= 1024
    assert rows in (64, 1024) or 16 < -(-num_rows // rows) <= 32
