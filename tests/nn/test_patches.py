"""Patches by loops, there and back; positions against the interpolation of images."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from nimblelm.nn.patches import grid_of, interpolate_positions, patchify, unpatchify


@pytest.mark.parametrize(("channels", "height", "width", "size"), [(3, 6, 4, 2), (1, 5, 15, 5), (2, 7, 3, 1)])
def test_patches_go_row_by_row_and_their_pixels_too(channels, height, width, size):
    images = torch.randn(2, channels, height, width)
    patches = patchify(images, size)
    rows, columns = grid_of(height, width, size)
    for b, y, x, i, j, c in itertools.product(range(2), *map(range, (rows, columns, size, size, channels))):
        assert patches[b, y * columns + x, (i * size + j) * channels + c] == images[b, c, y * size + i, x * size + j]
    assert torch.equal(unpatchify(patches, size, (rows, columns)), images)


def test_a_matrix_on_patches_is_a_convolution_with_a_stride():
    images, weight, bias = torch.randn(2, 3, 8, 12), torch.randn(5, 3, 4, 4), torch.randn(5)
    want = F.conv2d(images, weight, bias, stride=4).flatten(2).mT
    got = patchify(images, 4) @ weight.permute(0, 2, 3, 1).flatten(1).T + bias
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_bytes_are_cut_as_well():
    images = torch.arange(48, dtype=torch.uint8).view(1, 3, 4, 4)
    assert torch.equal(unpatchify(patchify(images, 2), 2, (2, 2)), images)


def keys_cubic(x):
    """The kernel of bicubic interpolation with a = -0.75 (Keys, 1981), as PyTorch has it."""
    x, a = abs(x), -0.75
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


@pytest.mark.parametrize(("grid", "new_grid"), [((3, 4), (6, 5)), ((4, 4), (2, 7)), ((2, 3), (2, 9))])
def test_positions_are_interpolated_by_the_cubic_kernel(grid, new_grid):
    positions = torch.randn(1 + grid[0] * grid[1], 3, dtype=torch.float64)
    got = interpolate_positions(positions, grid, new_grid)
    assert torch.equal(got[0], positions[0])
    field = positions[1:].view(*grid, 3)
    for y, x in itertools.product(*map(range, new_grid)):
        at = [(i + 0.5) * old / new - 0.5 for i, old, new in zip((y, x), grid, new_grid, strict=True)]
        want = torch.zeros(3, dtype=torch.float64)
        for i, j in itertools.product(*(range(int(a // 1) - 1, int(a // 1) + 3) for a in at)):
            weight = keys_cubic(at[0] - i) * keys_cubic(at[1] - j)
            want += weight * field[min(max(i, 0), grid[0] - 1), min(max(j, 0), grid[1] - 1)]
        torch.testing.assert_close(got[1 + y * new_grid[1] + x], want)


def test_the_same_grid_keeps_every_position():
    positions = torch.randn(7, 2)
    assert torch.equal(interpolate_positions(positions, (2, 3), (2, 3)), positions)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="9 x 8 pixels is not divisible into patches of 4"):
        patchify(torch.zeros(1, 3, 9, 8), 4)
    with pytest.raises(ValueError, match="patches of 0"):
        patchify(torch.zeros(1, 3, 8, 8), 0)
    with pytest.raises(ValueError, match="3 x 2 does not hold 4"):
        unpatchify(torch.zeros(1, 4, 12), 2, (3, 2))
    with pytest.raises(ValueError, match="10 numbers are not 2 x 2"):
        unpatchify(torch.zeros(1, 4, 10), 2, (2, 2))
    with pytest.raises(ValueError, match="6 positions"):
        interpolate_positions(torch.zeros(6, 2), (2, 3), (4, 4))
    with pytest.raises(ValueError, match=r"\(0, 4\)"):
        interpolate_positions(torch.zeros(7, 2), (2, 3), (0, 4))
