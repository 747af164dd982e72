"""How flash decoding is cut: tiles of queries, splits of the cache."""

import torch

from nimblelm.kernels.tile import Tile

SPLITS_WANTED = 32
MIN_SPLIT_ROWS, MAX_SPLIT_ROWS = 64, 1024


def power_of_2(count: int) -> int:
    """The smallest power of two that is not below a count."""
    return 1 << (count - 1).bit_length()


def choose_tile(query_rows: int, head_dim: int, dtype: torch.dtype) -> Tile:
    """The shipped configuration for `query_rows` = T H / Hkv rows. Not yet tuned on a GPU.

    At least 16 rows, since a tensor core multiplies no fewer; more than 64 become several tiles, which share the
    cache's rows through L2. float32 runs on the ordinary units, whose operands stand in registers: 16 rows, and twice
    the warps for a long head.
    """
    block_m = min(max(power_of_2(query_rows), 16), 64)
    if dtype == torch.float32:
        return Tile(16, 32, num_warps=8 if padded_dim(head_dim) > 64 else 4, num_stages=3)
    return Tile(block_m, 64, num_warps=4, num_stages=3)


def padded_dim(head_dim: int) -> int:
    """The head dimension as a kernel has it: a power of two, 32 at least."""
    return max(power_of_2(head_dim), 32)


def split_rows(num_rows: int) -> int:
    """Cache rows of one split, a power of two: about 32 splits of a cache of `num_rows`, each 64 to 1024 rows.

    It depends on nothing else, neither on lengths nor on the batch. So a CUDA graph may hold the launch, and a
    sequence gives the same bits alone and in a batch.
    """
    wanted = power_of_2(-(-num_rows // SPLITS_WANTED))
    return min(max(wanted, MIN_SPLIT_ROWS), MAX_SPLIT_ROWS)
