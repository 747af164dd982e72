"""The online softmax and the merging of parts against a softmax with every score in memory."""

import itertools

import pytest
import torch

from nimblelm.kernels.flash_attention.online_softmax import SoftmaxState, absorb, finish, merge_parts, no_keys_yet

HIDDEN = float("-inf")


def problem(rows=5, length=24, dim=3, seed=0):
    """Scores (rows, length), some hidden, one row hidden as a whole, and values; float64."""
    rng = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(rows, length, generator=rng, dtype=torch.float64)
    scores = scores.masked_fill(torch.rand(rows, length, generator=rng) < 0.3, HIDDEN)
    scores[0], scores[1, :8] = HIDDEN, HIDDEN
    return scores, torch.randn(length, dim, generator=rng, dtype=torch.float64)


def whole(scores, values):
    return scores.softmax(-1).nan_to_num() @ values, scores.logsumexp(-1)


def in_tiles(scores, values, bounds):
    state = no_keys_yet(values.new_zeros(len(scores), values.shape[1]))
    for start, stop in itertools.pairwise(bounds):
        state = absorb(state, scores[:, start:stop], values[start:stop])
    return state


@pytest.mark.parametrize("bounds", [[0, 24], [0, 1, 2, 24], [0, 8, 16, 24], list(range(25))])
def test_any_cut_into_tiles_is_the_whole_softmax(bounds):
    scores, values = problem()
    for got, want in zip(finish(in_tiles(scores, values, bounds)), whole(scores, values), strict=True):
        torch.testing.assert_close(got, want)


def test_scores_of_any_size_stay_finite():
    scores, values = problem()
    for offset in (-2000.0, 2000.0):
        out, lse = finish(in_tiles(scores + offset, values, [0, 5, 24]))
        torch.testing.assert_close(out, whole(scores, values)[0])
        torch.testing.assert_close(lse, whole(scores, values)[1] + offset)


def test_a_plain_tuple_is_a_state():
    scores, values = problem()
    empty = tuple(no_keys_yet(values.new_zeros(5, 3)))
    assert isinstance(absorb(SoftmaxState(*empty), scores, values), SoftmaxState)


@pytest.mark.parametrize("bounds", [[0, 24], [0, 3, 8, 24], [0, 0, 12, 12, 24]])
def test_parts_merge_into_the_whole_empty_ones_included(bounds):
    scores, values = problem()
    parts = [whole(scores[:, a:b], values[a:b]) for a, b in itertools.pairwise(bounds)]
    merged = merge_parts(*(torch.stack(x) for x in zip(*parts, strict=True)))
    for got, want in zip(merged, whole(scores, values), strict=True):
        torch.testing.assert_close(got, want)


def test_merging_is_associative():
    scores, values = problem()
    parts = [whole(scores[:, a : a + 8], values[a : a + 8]) for a in (0, 8, 16)]
    outs, lses = (torch.stack(x) for x in zip(*parts, strict=True))
    out, lse = merge_parts(outs[1:], lses[1:])
    again = merge_parts(torch.stack([outs[0], out]), torch.stack([lses[0], lse]))
    for got, want in zip(again, merge_parts(outs, lses), strict=True):
        torch.testing.assert_close(got, want)


def test_parts_of_large_scores_are_merged_to_the_last_digit():
    """exp(L_p - L) with L of 1e5 in float32 would be off by half a percent."""
    outs, lses = torch.randn(3, 4, 8), torch.tensor([1e5, 1e5 + 1, 1e5 - 1])[:, None].expand(3, 4)
    for shift in (0.0, -2e5):
        out, _ = merge_parts(outs, lses + shift)
        exact = ((lses.double() + shift).softmax(0)[..., None] * outs.double()).sum(0)
        torch.testing.assert_close(out.double(), exact, atol=1e-6, rtol=1e-6)
