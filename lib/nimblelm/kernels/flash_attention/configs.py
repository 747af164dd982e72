"""One table: how the fast kernels are cut into tiles for each head dimension, mask and dtype."""

from dataclasses import dataclass

import torch

from nimblelm.kernels.tile import Tile


@dataclass(frozen=True)
class Config:
    """The three kernels of one head dimension, mask and dtype."""

    forward: Tile
    dq: Tile
    dkv: Tile
    precision: str = "tf32"  # how tl.dot multiplies float32; half precision ignores it
    measured: str | None = None  # file of the measurement that chose it; None: untuned, chosen by what compiles well


# (head_dim rounded up to a power of two, causal, bytes of an element)
CONFIGS = {
    (32, False, 2): Config(Tile(128, 128, 4, 3), Tile(128, 64, 4, 3), Tile(64, 128, 4, 3)),
    (32, True, 2): Config(Tile(128, 64, 4, 3), Tile(128, 64, 4, 3), Tile(64, 128, 4, 3)),
    (64, False, 2): Config(Tile(128, 128, 8, 3), Tile(128, 64, 8, 3), Tile(64, 128, 8, 3)),
    (64, True, 2): Config(Tile(128, 64, 8, 3), Tile(128, 64, 8, 3), Tile(64, 128, 8, 3)),
    (128, False, 2): Config(Tile(128, 128, 8, 2), Tile(128, 64, 8, 2), Tile(64, 128, 8, 2)),
    (128, True, 2): Config(Tile(128, 128, 8, 2), Tile(128, 64, 8, 2), Tile(64, 128, 8, 2)),
    (32, False, 4): Config(Tile(64, 32, 4, 2), Tile(64, 32, 4, 2), Tile(32, 64, 4, 2), "tf32x3"),
    (32, True, 4): Config(Tile(64, 32, 4, 2), Tile(64, 32, 4, 2), Tile(32, 64, 4, 2), "tf32x3"),
    (64, False, 4): Config(Tile(64, 32, 4, 2), Tile(64, 32, 4, 2), Tile(32, 64, 4, 2), "tf32x3"),
    (64, True, 4): Config(Tile(64, 32, 4, 2), Tile(64, 32, 4, 2), Tile(32, 64, 4, 2), "tf32x3"),
    (128, False, 4): Config(Tile(128, 32, 8, 2), Tile(16, 64, 4, 1), Tile(16, 32, 8, 1), "tf32x3"),
    (128, True, 4): Config(Tile(128, 32, 8, 2), Tile(16, 64, 4, 1), Tile(16, 32, 8, 1), "tf32x3"),
}
DTYPES = {torch.float16: 2, torch.bfloat16: 2, torch.float32: 4}


def config_for(head_dim: int, causal: bool, dtype: torch.dtype) -> Config:
    """The table's entry for a head dimension, rounded up to a power of two.

    Raises:
        ValueError: the head dimension is not a multiple of 8 from 32 to 128 (TMA moves 16 bytes at least), or the dtype
            is none of float16, bfloat16, float32.
    """
    if head_dim % 8 or not 32 <= head_dim <= 128:
        raise ValueError(f"head_dim {head_dim} is not a multiple of 8 from 32 to 128")
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype} is none of float16, bfloat16, float32")
    return CONFIGS[1 << (head_dim - 1).bit_length(), causal, DTYPES[dtype]]
