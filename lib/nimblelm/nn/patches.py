"""Images as sequences of patches, and positions for grids of another size."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor


def patchify(images: Shaped[Tensor, "B C height width"], patch_size: int) -> Shaped[Tensor, "B N f"]:
    """Cut images into square patches and flatten each, pixel by pixel along its rows, the channels of a pixel together.

    Patch n is row n // columns, column n % columns of the grid, and f(p)[(i P + j) C + c] = p[c, i, j]
    (Dosovitskiy et al., 2021, arXiv:2010.11929, section 3.1), with P the patch size.

    Args:
        images: pixels.
        patch_size: pixels on a side, P.

    Returns:
        N = height width / P^2 patches of P^2 C numbers.

    Raises:
        ValueError: P is below 1, or divides height or width not.

    Chapter: book/ch08_vision_transformer
    """
    grid_of(images.shape[-2], images.shape[-1], patch_size)
    return rearrange(images, "b c (y p) (x q) -> b (y x) (p q c)", p=patch_size, q=patch_size)


def unpatchify(
    patches: Shaped[Tensor, "B N f"], patch_size: int, grid: tuple[int, int]
) -> Shaped[Tensor, "B C height width"]:
    """Lay flattened patches side by side again: the inverse of `patchify`.

    Args:
        patches: as `patchify` gives them.
        patch_size: pixels on a side.
        grid: rows and columns of patches.

    Raises:
        ValueError: the grid does not hold N patches, or a patch is not of patch_size^2 pixels.

    Chapter: book/ch08_vision_transformer
    """
    rows, columns = grid
    if rows < 1 or columns < 1 or rows * columns != patches.shape[1]:
        raise ValueError(f"a grid of {rows} x {columns} does not hold {patches.shape[1]} patches")
    if patch_size < 1 or patches.shape[2] % patch_size**2:
        raise ValueError(f"patches of {patches.shape[2]} numbers are not {patch_size} x {patch_size} pixels")
    return rearrange(patches, "b (y x) (p q c) -> b c (y p) (x q)", y=rows, p=patch_size, q=patch_size)


def grid_of(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches in an image.

    Raises:
        ValueError: the patch size is below 1, or divides height or width not.
    """
    if patch_size < 1 or height < patch_size or width < patch_size or height % patch_size or width % patch_size:
        raise ValueError(f"an image of {height} x {width} pixels is not divisible into patches of {patch_size}")
    return height // patch_size, width // patch_size


def interpolate_positions(
    positions: Float[Tensor, "T d"], grid: tuple[int, int], new_grid: tuple[int, int]
) -> Float[Tensor, "S d"]:
    """Learned positions of one grid of patches for another, by bicubic interpolation.

    The embedding of the class token, the first, has no place in the image and stays as it is (Dosovitskiy et al., 2021,
    arXiv:2010.11929, section 3.2).

    Args:
        positions: the class token's, then those of the patches, row by row: T = 1 + rows columns.
        grid: rows and columns that they were learned for.
        new_grid: rows and columns that are wanted.

    Returns:
        S = 1 + rows columns of the new grid; the same positions where nothing changes.

    Raises:
        ValueError: the positions are not those of the grid, or the new grid is empty.

    Chapter: book/ch08_vision_transformer
    """
    if min(*grid, *new_grid) < 1 or len(positions) != 1 + grid[0] * grid[1]:
        raise ValueError(f"{len(positions)} positions are not a class token's and a grid's {grid}, for {new_grid}")
    if grid == new_grid:
        return positions
    field = rearrange(positions[1:], "(y x) d -> 1 d y x", y=grid[0])
    field = F.interpolate(field, new_grid, mode="bicubic", align_corners=False)
    return torch.cat([positions[:1], rearrange(field, "1 d y x -> (y x) d")])
