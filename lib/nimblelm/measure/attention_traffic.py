"""Bytes that attention moves between slow and fast memory: counted by formula, and by a memory that keeps a count."""

from torch import Tensor


class SlowMemory:
    """A large, slow memory: what is computed on must be read from it, what is kept must be written to it.

    `bytes_read` and `bytes_written` count what has moved.

    Chapter: book/ch04_flash_attention
    """

    def __init__(self) -> None:
        self.bytes_read = 0
        self.bytes_written = 0

    def read(self, tensor: Tensor) -> Tensor:
        """The same tensor, now in fast memory."""
        self.bytes_read += tensor.numel() * tensor.element_size()
        return tensor

    def write(self, tensor: Tensor) -> Tensor:
        """The same tensor, now in slow memory."""
        self.bytes_written += tensor.numel() * tensor.element_size()
        return tensor


def naive_attention_bytes(num_queries: int, num_keys: int, head_dim: int, itemsize: int) -> int:
    """Bytes that one head moves when each of the four steps reads its inputs from slow memory and writes its result.

    (2 n d + 2 m d + 6 n m) itemsize: Q, K, S out; S in and out to scale; S in, P out for softmax; P, V in, O out
    (Dao et al., 2022, arXiv:2205.14135, algorithm 0, with the scaling as a step of its own).

    Args:
        num_queries, num_keys: n and m.
        head_dim: d.
        itemsize: bytes of a number.

    Raises:
        ValueError: a negative size.

    Chapter: book/ch04_flash_attention
    """
    _check(num_queries, num_keys, head_dim, itemsize)
    n, m, d = num_queries, num_keys, head_dim
    return (2 * n * d + 2 * m * d + 6 * n * m) * itemsize


def tiled_attention_bytes(
    num_queries: int, num_keys: int, head_dim: int, itemsize: int, block_m: int, lse_itemsize: int = 4
) -> int:
    """Bytes that one head moves when scores stay in fast memory, tile by tile.

    (2 n d + 2 m d ceil(n / block_m)) itemsize + n lse_itemsize: Q in, O and the log-sum-exp out once; K and V in once
    for each block of queries (Dao, 2023, arXiv:2307.08691, algorithm 1).

    Args:
        num_queries, num_keys, head_dim, itemsize: as in `naive_attention_bytes`.
        block_m: queries in a tile.
        lse_itemsize: bytes of a log-sum-exp.

    Raises:
        ValueError: a negative size, or a block of no query.

    Chapter: book/ch04_flash_attention
    """
    _check(num_queries, num_keys, head_dim, itemsize, lse_itemsize, block_m - 1)
    n, m, d = num_queries, num_keys, head_dim
    return (2 * n * d + 2 * m * d * -(-n // block_m)) * itemsize + n * lse_itemsize


def attention_flop(num_queries: int, num_keys: int, head_dim: int) -> int:
    """Floating-point operations of the two matrix products of one head: 4 n m d.

    Raises:
        ValueError: a negative size.

    Chapter: book/ch04_flash_attention
    """
    _check(num_queries, num_keys, head_dim)
    return 4 * num_queries * num_keys * head_dim


def _check(*sizes: int) -> None:
    if not all(size >= 0 for size in sizes):
        raise ValueError(f"a size among {sizes} is too small")
