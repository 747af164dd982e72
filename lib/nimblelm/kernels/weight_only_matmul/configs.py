"""How a product with quantized weights is cut: tiles by the number of tokens, splits of the sum."""

import torch

from nimblelm.kernels.tile import Tile

H200_MULTIPROCESSORS = 132
MAX_SPLITS, MIN_STEPS = 16, 4
GEMV = Tile(1, 16, num_warps=4, num_stages=1, block_k=512, resident=4)
TILES = {  # tokens at most -> tile. Untuned: chosen by the instructions that they compile to.
    16: Tile(16, 128, num_warps=4, num_stages=4, block_k=128, resident=3),
    32: Tile(32, 128, num_warps=4, num_stages=4, block_k=128, resident=2),
    64: Tile(64, 128, num_warps=4, num_stages=3, block_k=128, resident=1),
    128: Tile(128, 128, num_warps=8, num_stages=3, block_k=128, resident=1),
}
FLOAT32 = Tile(16, 32, num_warps=4, num_stages=3, block_k=64, resident=2)  # no tensor cores: operands in registers


def choose_tile(num_tokens: int, bits: int, dtype: torch.dtype) -> Tile:
    """The shipped configuration for M tokens.

    A single token takes int8's matrix-vector kernel. In 4 bits it takes tensor cores as well: 15 of a tile's 16 rows
    idle, but what decides is the instructions that unpack a weight, and a tensor core spares those that multiply it.
    """
    if num_tokens == 1 and bits == 8:
        return GEMV
    if dtype == torch.float32:
        return FLOAT32
    return next(tile for most, tile in TILES.items() if num_tokens <= most or most == max(TILES))


def choose_splits(num_tiles: int, num_steps: int, slots: int) -> int:
    """Parts into which K is cut, so that the programs fill the GPU evenly.

    num_tiles s programs run in ceil(num_tiles s / slots) waves of 1/s of the work each: the s with the least time
    for that, the smallest of equals, of those that leave a program at least 4 steps.

    Args:
        num_tiles: programs without a split.
        num_steps: steps of the loop over K without a split.
        slots: programs that the GPU holds at a time.
    """
    most = max(1, min(MAX_SPLITS, num_steps // MIN_STEPS))
    return min(range(1, most + 1), key=lambda s: (-(-num_tiles * s // slots) / s, s))
