"""n:m masks against every choice of n out of m; 2:4 storage against the dense matrix."""

from itertools import combinations

import pytest
import torch

from nimblelm.compression.pruning.semi_structured import compress_two_of_four, nm_mask


def scores(num_columns: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(5, num_columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8), (3, 6), (0, 4), (4, 4)])
def test_no_other_choice_of_n_keeps_more(n, m):
    values = scores(24)
    mask = nm_mask(values, n, m)
    for row, kept in zip(values.split(m, 1), mask.split(m, 1), strict=True):
        every = torch.stack([row[:, list(chosen)].sum(1) for chosen in combinations(range(m), n)])
        assert torch.equal(kept.sum(1), torch.full((5,), n))
        torch.testing.assert_close((row * kept).sum(1), every.max(0).values)


def test_equal_scores_keep_the_earlier():
    mask = nm_mask(torch.tensor([[0.0, 0, 0, 0, 1, 2, 1, 1]]))
    assert mask.tolist() == [[True, True, False, False, True, True, False, False]]


def test_storage_gives_the_matrix_back():
    weight = torch.randn(6, 64, generator=torch.Generator().manual_seed(1))
    pruned = weight * nm_mask(weight.abs())
    pruned[2, :8] = 0  # fewer than two of four
    pruned[3, 5] = 0
    stored = compress_two_of_four(pruned)
    assert torch.equal(stored.dense(), pruned)
    assert stored.values.shape == (6, 32)
    assert stored.places.shape == (6, 8)
    assert stored.size_bytes == 6 * 64 * (4 / 2 + 1 / 8)


def test_places_are_two_bits_from_the_lowest_up():
    pruned = torch.tensor([[0.0, 1, 0, 2, 3, 0, 4, 0]])
    assert compress_two_of_four(pruned).places.tolist() == [[1 + 3 * 4 + 0 * 16 + 2 * 64]]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="2:4 sparsity of 6 columns"):
        nm_mask(torch.ones(2, 6))
    with pytest.raises(ValueError, match="5:4 sparsity"):
        nm_mask(torch.ones(2, 8), 5, 4)
    with pytest.raises(ValueError, match="nan"):
        nm_mask(torch.full((2, 8), float("nan")))
    with pytest.raises(ValueError, match="more than two numbers"):
        compress_two_of_four(torch.ones(2, 8))
    with pytest.raises(ValueError, match="not a multiple of 8"):
        compress_two_of_four(torch.zeros(2, 12))


def test_a_matrix_without_rows_is_stored():
    assert compress_two_of_four(torch.zeros(0, 16)).dense().shape == (0, 16)
