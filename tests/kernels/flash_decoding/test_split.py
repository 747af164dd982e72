"""Split-KV attention against attention over all keys at once."""

import pytest
import torch

from nimblelm.kernels.flash_attention.reference import attention
from nimblelm.kernels.flash_decoding.split import split_attention


@pytest.mark.parametrize("num_splits", [1, 2, 7, 60, 90])
def test_any_number_of_splits_gives_the_same(num_splits):
    rng = torch.Generator().manual_seed(0)
    q = torch.randn(2, 3, 4, 16, generator=rng, dtype=torch.float64)
    k, v = (torch.randn(2, 60, 2, 16, generator=rng, dtype=torch.float64) for _ in range(2))
    for ours, right in zip(split_attention(q, k, v, num_splits), attention(q, k, v), strict=True):
        torch.testing.assert_close(ours, right)


def test_no_split_at_all_is_refused():
    x = torch.randn(1, 4, 1, 8)
    with pytest.raises(ValueError, match="num_splits is 0"):
        split_attention(x, x, x, 0)
