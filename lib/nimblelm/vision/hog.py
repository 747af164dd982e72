"""Histograms of oriented gradients: what pictures were compared by before features were learned."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

NUM_DIRECTIONS = 9  # bins of 20 degrees; a direction and its opposite are one
BLOCK = 2  # cells on a side of a block, in which histograms are normalised together


def hog(images: Shaped[Tensor, "B C height width"], cell: int = 4) -> Float[Tensor, "B f"]:
    """Histograms of gradient directions over cells, normalised over overlapping blocks of 2 x 2 cells.

    Gradients are central differences [-1, 0, 1] of the channel in which they are largest; each pixel votes with its
    gradient's length for the two nearest directions (Dalal and Triggs, 2005, section 6).

    Args:
        images: pixels.
        cell: pixels on a side of a cell.

    Returns:
        (B, 36 blocks) for the (height / cell - 1) (width / cell - 1) blocks.

    Raises:
        ValueError: cells do not divide the image, it has fewer than 2 x 2 of them, or its pixels are whole numbers.

    Chapter: book/ch08_vision_transformer
    """
    batch, _, height, width = images.shape
    if cell < 1 or height % cell or width % cell or min(height, width) < BLOCK * cell:
        raise ValueError(f"an image of {height} x {width} pixels is not 2 x 2 or more cells of {cell}")
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}: differences of pixels need floating numbers")
    wide = images.to(torch.promote_types(images.dtype, torch.float32))
    padded = F.pad(wide, (1, 1, 1, 1), mode="replicate")
    dx = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    dy = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    strongest = (dx.square() + dy.square()).argmax(1, keepdim=True)
    dx, dy = (gradient.gather(1, strongest)[:, 0] for gradient in (dx, dy))  # (B, height, width)
    position = torch.atan2(dy, dx) % math.pi / math.pi * NUM_DIRECTIONS - 0.5  # bin centres are integers
    lower = position.floor()
    share = position - lower
    length = (dx.square() + dy.square()).sqrt()
    votes = length.new_zeros(batch, NUM_DIRECTIONS, height, width)
    for direction, weight in ((lower, 1 - share), (lower + 1, share)):
        votes.scatter_add_(1, (direction.long() % NUM_DIRECTIONS)[:, None], (length * weight)[:, None])
    cells = F.avg_pool2d(votes, cell)  # (B, 9, rows, columns)
    blocks = F.unfold(cells, BLOCK)  # (B, 36, blocks)
    return F.normalize(blocks, dim=1).flatten(1).to(images.dtype)


def hog_and_colour(images: Shaped[Tensor, "B C height width"], field: int = 8) -> Float[Tensor, "B f"]:
    """`hog` beside the mean colours of square fields, each at unit length: a strong picture to compare by.

    Args:
        images: pixels.
        field: pixels on a side of a field.

    Raises:
        ValueError: as `hog`, or fields do not divide the image.
    """
    if field < 1 or images.shape[-2] % field or images.shape[-1] % field:
        raise ValueError(f"fields of {field} pixels do not divide an image of {tuple(images.shape[-2:])}")
    edges, colours = hog(images), F.avg_pool2d(images, field).flatten(1)
    return torch.cat([F.normalize(edges, dim=1), F.normalize(colours, dim=1)], dim=1)
