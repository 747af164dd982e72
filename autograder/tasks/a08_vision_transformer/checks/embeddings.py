"""Embeddings for another resolution: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_tensor, integer
from autograder.tasks.a08_vision_transformer.oracles import normal


def blended(positions, grid, y, x, new_grid):
    """The learned positions (M, D) at one place of a new grid: a mixture of four, by hand."""
    field, place = positions.double().view(*grid, -1), []
    for at, old, new in ((y, grid[0], new_grid[0]), (x, grid[1], new_grid[1])):
        centre = min(max((at + 0.5) * old / new - 0.5, 0.0), old - 1.0)
        low = int(centre)
        place.append((low, min(low + 1, old - 1), centre - low))
    (top, bottom, down), (left, right, over) = place
    above = (1 - over) * field[top, left] + over * field[top, right]
    return (1 - down) * above + down * ((1 - over) * field[bottom, left] + over * field[bottom, right])


def expect_embedding(call, rng, prefix_length, grid, new_grid):
    count, width, features, batch = new_grid[0] * new_grid[1], integer(rng, 3, 6), integer(rng, 2, 5), 2
    flat, weight, bias = normal(rng, batch, count, features), normal(rng, width, features), normal(rng, width)
    prefix, positions = normal(rng, prefix_length, width), normal(rng, prefix_length + grid[0] * grid[1], width)
    got = call("embed_patches", flat, weight, bias, prefix, positions, grid, new_grid)
    got = expect_tensor(got, "the embeddings", (batch, prefix_length + count, width), "float", dims="B T D")
    want = torch.zeros(got.shape, dtype=torch.float64)
    want[:, :prefix_length] = prefix + positions[:prefix_length]
    for n in range(count):
        place = blended(positions[prefix_length:], grid, *divmod(n, new_grid[1]), new_grid)
        want[:, prefix_length + n] = flat[:, n].double() @ weight.double().T + bias + place
    expect_close(got, want, f"{prefix_length} + {count} embeddings, from grid {grid} to {new_grid}", 1e-5, 1e-4)


@check("embeddings", points=1)
def positions_of_the_same_grid_are_added_as_they_are(call, rng):
    """No interpolation: a prefix of two tokens."""
    for grid in ((2, 3), (4, 1), (3, 3)):
        expect_embedding(call, rng, 2, grid, grid)


@check("embeddings", points=1)
def positions_of_a_larger_grid_are_interpolated_in_two_dimensions(call, rng):
    """Grids that are wider than high and higher than wide."""
    for grid, new_grid in (((2, 3), (4, 6)), ((3, 2), (5, 7)), ((4, 2), (4, 5))):
        expect_embedding(call, rng, 2, grid, new_grid)


@check("embeddings", points=1)
def positions_of_a_smaller_grid_are_interpolated_too(call, rng):
    """Fewer patches than positions."""
    for grid, new_grid in (((6, 4), (3, 3)), ((5, 5), (2, 4))):
        expect_embedding(call, rng, 3, grid, new_grid)


@check("embeddings", points=1)
def there_may_be_no_prefix(call, rng):
    """A model without a class token."""
    expect_embedding(call, rng, 0, (2, 3), (2, 3))
    expect_embedding(call, rng, 0, (2, 3), (4, 5))


@check("embeddings", points=1)
def two_prefix_tokens_before_a_wide_image(call, rng):
    """A class token and one for distillation, and a strip of an image."""
    expect_embedding(call, rng, 2, (3, 3), (2, 9))
    expect_embedding(call, rng, 4, (1, 4), (1, 8))
