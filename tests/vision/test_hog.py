"""Histograms of oriented gradients, pixel by pixel in plain Python."""

import math

import pytest
import torch

from nimblelm.vision.hog import hog


def by_loops(image, cell):
    channels, height, width = image.shape
    rows, columns = height // cell, width // cell
    cells = torch.zeros(rows, columns, 9, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            best = (0.0, 0.0)
            for c in range(channels):
                dx = float(image[c, y, min(x + 1, width - 1)] - image[c, y, max(x - 1, 0)])
                dy = float(image[c, min(y + 1, height - 1), x] - image[c, max(y - 1, 0), x])
                if dx * dx + dy * dy > best[0] ** 2 + best[1] ** 2:
                    best = (dx, dy)
            degrees = math.degrees(math.atan2(best[1], best[0])) % 180
            at = degrees / 20 - 0.5
            low = math.floor(at)
            for direction, weight in ((low, low + 1 - at), (low + 1, at - low)):
                cells[y // cell, x // cell, direction % 9] += weight * math.hypot(*best) / cell**2
    blocks = [
        torch.cat([cells[y : y + 2, x : x + 2, d].flatten() for d in range(9)])
        for y in range(rows - 1)
        for x in range(columns - 1)
    ]
    return [block / max(float(block.norm()), 1e-12) for block in blocks]


def test_every_block_is_that_of_the_loops():
    images = torch.rand(2, 3, 12, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for image, got in zip(images, hog(images), strict=True):
        want = by_loops(image, 4)
        torch.testing.assert_close(got.view(36, len(want)).T, torch.stack(want))


def test_directions_and_not_brightness_are_told():
    images = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(hog(0.5 * images + 0.2), hog(images))
    torch.testing.assert_close(hog(1 - images), hog(images))
    assert not torch.allclose(hog(images.mT), hog(images), atol=0.05)


def test_a_flat_image_has_no_directions():
    assert torch.equal(hog(torch.ones(1, 3, 8, 8)), torch.zeros(1, 36))


def test_what_is_not_divisible_is_refused():
    with pytest.raises(ValueError, match="9 x 8"):
        hog(torch.zeros(1, 3, 9, 8))
    with pytest.raises(ValueError, match="4 x 8"):
        hog(torch.zeros(1, 3, 4, 8))


def test_pixels_are_floating_numbers_of_any_size():
    """Differences of bytes wrap around; in float16 the square of 300 is infinite."""
    pixels = torch.randint(0, 256, (1, 3, 12, 8), generator=torch.Generator().manual_seed(0))
    for dtype in (torch.uint8, torch.int64):
        with pytest.raises(ValueError, match="floating"):
            hog(pixels.to(dtype))
    loud = 4.0 * pixels
    torch.testing.assert_close(hog(loud.half()).double(), hog(loud.double()), atol=2e-3, rtol=0)
