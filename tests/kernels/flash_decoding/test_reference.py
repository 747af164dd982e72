"""The reference against torch's attention, and what the dispatch refuses."""

import subprocess
import sys

import pytest
import torch

from nimblelm.kernels.flash_decoding import flash_decoding
from tests.kernels.flash_decoding.cases import CASES, Case, eager


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reference_is_attention_over_the_rows_that_a_query_sees(case):
    tensors = case.tensors(torch.float64)
    torch.testing.assert_close(flash_decoding(*tensors), eager(*tensors), atol=1e-12, rtol=0)
    torch.testing.assert_close(flash_decoding(*tensors, 0.3), eager(*tensors, 0.3), atol=1e-12, rtol=0)


def test_a_query_that_sees_nothing_gives_zero():
    out = flash_decoding(*Case((2, 0), T=3).tensors())
    assert not out[0, 0].any()
    assert out[0, 1].any()
    assert not out[1].any()


def test_one_sequence_in_plain_loops():
    q, keys, values, lengths = Case((5,), T=2, H=4, group=2, S=9, D=3).tensors(torch.float64, stale=0.0)
    out = flash_decoding(q, keys, values, lengths)
    for token, head in ((0, 0), (0, 3), (1, 1), (1, 2)):
        visible = 4 + token
        weights = torch.stack([q[0, token, head] @ keys[0, s, head // 2] / 3**0.5 for s in range(visible)]).exp()
        expected = sum(w * values[0, s, head // 2] for s, w in enumerate(weights / weights.sum()))
        torch.testing.assert_close(out[0, token, head], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": torch.zeros(1, 1, 3, 8)}, "3 query heads"),
        ({"q": torch.zeros(1, 1, 4, 16)}, "do not fit"),
        ({"values": torch.zeros(1, 6, 2, 8)}, "do not fit"),
        ({"values": torch.zeros(1, 5, 2, 8, dtype=torch.float16)}, "v is torch.float16"),
        ({"lengths": torch.ones(2, dtype=torch.int32)}, "not one for each"),
        ({"lengths": torch.ones(1, dtype=torch.int32, device="meta")}, "lengths are on meta"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {
        "q": torch.zeros(1, 1, 4, 8),
        "keys": torch.zeros(1, 5, 2, 8),
        "values": torch.zeros(1, 5, 2, 8),
        "lengths": torch.ones(1, dtype=torch.int32),
    }
    flash_decoding(**arguments)
    plain = getattr(flash_decoding, "__wrapped__", flash_decoding)  # the tests' shape checks would be first
    with pytest.raises(ValueError, match=message):
        plain(**{**arguments, **change})


def test_an_empty_block_or_cache_is_no_error():
    lengths = torch.zeros(1, dtype=torch.int32)
    assert not flash_decoding(torch.ones(1, 1, 2, 8), torch.ones(1, 0, 2, 8), torch.ones(1, 0, 2, 8), lengths).any()
    assert flash_decoding(torch.ones(1, 0, 2, 8), *[torch.ones(1, 4, 2, 8)] * 2, lengths).shape == (1, 0, 2, 8)


@pytest.mark.parametrize("operation", ["flash_decoding", "weight_only_matmul"])
def test_triton_is_imported_only_where_it_runs(operation):
    script = f"import sys; sys.modules['triton'] = None; import nimblelm.kernels.{operation}"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
