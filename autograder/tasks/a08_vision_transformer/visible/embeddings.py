"""Embeddings for another resolution: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, known_mistake

TURNED = "a grid is (rows, columns), and its positions go row by row"


@check("embeddings")
def a_projection_a_prefix_and_positions(call, rng):
    """One image of two patches behind two prefix tokens, width 1, the grid that positions were learned for."""
    flat, weight, bias = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[10.0, 1.0]]), torch.tensor([0.5])
    prefix, positions = torch.tensor([[7.0], [8.0]]), torch.tensor([[100.0], [200.0], [300.0], [400.0]])
    got = call("embed_patches", flat, weight, bias, prefix, positions, (1, 2), (1, 2))
    got = expect_tensor(got, "the embeddings", shape=(1, 4, 1), dtype="float", dims="B T D").flatten()
    guesses = {
        "the projection has a bias": torch.tensor([107.0, 208.0, 312.0, 434.0]),
        "the prefix tokens have positions too, the first ones": torch.tensor([7.0, 8.0, 312.5, 434.5]),
        "the prefix stands before the patches": torch.tensor([112.5, 234.5, 307.0, 408.0]),
        TURNED: torch.tensor([107.0, 208.0, 362.5, 384.5]),
    }
    expect_close(got, torch.tensor([107.0, 208.0, 312.5, 434.5]), "the embeddings", hint=known_mistake(got, guesses))


@check("embeddings")
def positions_are_interpolated_between_neighbours(call, rng):
    """Patches of zeros: what comes are the positions. A grid of 1 x 2 with 0 and 8 becomes 1 x 4, no prefix."""
    zeros = torch.zeros(1, 4, 1)
    positions = torch.tensor([[0.0], [8.0]])
    got = call("embed_patches", zeros, torch.zeros(1, 1), torch.zeros(1), torch.zeros(0, 1), positions, (1, 2), (1, 4))
    got = expect_tensor(got, "the embeddings", shape=(1, 4, 1), dtype="float", dims="B T D").flatten()
    guesses = {
        "corners are not aligned: use half-pixel centres": torch.tensor([0.0, 8 / 3, 16 / 3, 8.0]),
        "mix the neighbours; here the nearest position was taken": torch.tensor([0.0, 0.0, 8.0, 8.0]),
        "the interpolation is bilinear, not bicubic": torch.tensor([-0.84375, 1.8125, 6.1875, 8.84375]),
        TURNED: torch.full((4,), 4.0),
    }
    expect_close(got, torch.tensor([0.0, 2.0, 6.0, 8.0]), "the four positions", hint=known_mistake(got, guesses))


@check("embeddings")
def numbers_of_a_position_stay_together(call, rng):
    """Patches of zeros on a grid of 2 x 2 that becomes 1 x 2: each position is the mean of two, above each other."""
    positions = torch.tensor([[1.0, 100.0], [2.0, 200.0], [5.0, 500.0], [6.0, 600.0]])
    zeros = torch.zeros(1, 2, 1), torch.zeros(2, 1), torch.zeros(2), torch.zeros(0, 2)
    got = expect_tensor(call("embed_patches", *zeros, positions, (2, 2), (1, 2)), "the embeddings", shape=(1, 2, 2))
    mixed = positions.reshape(1, 2, 2, 2).mean(2)[0]
    guesses = {
        "positions are (M, D): transpose before you reshape them to D images": mixed.T,
        "these are means within a row of the grid: interpolate in two dimensions, rows and columns": mixed,
    }
    want = torch.tensor([[3.0, 300.0], [4.0, 400.0]])
    expect_close(got[0], want, "the positions", hint=known_mistake(got[0], guesses))
