"""Called in an interpreter's process: kernels on tensors whose entries lie more than 2^31 numbers apart.

The tensors are views of addresses that are reserved and never touched but where they lie. All of one dtype share the
same ones: no machine needs to promise more than 4 GB. An offset that wraps around at 32 bits is an address before them:
the process dies.
"""

import mmap
from functools import cache

import torch
from torch import Tensor

from nimblelm.kernels.flash_attention.block_sparse import triton_block_sparse_attention
from nimblelm.kernels.flash_attention.simple import simple_flash_attention
from nimblelm.kernels.flash_decoding.launch import flash_decoding
from nimblelm.kernels.tile import Tile
from tests.kernels.flash_attention.interpreted import fast, results

STEP = 2**27  # the seventeenth of entries so far apart is the first beyond 31 bits


APART = 2**12  # numbers between the first entries of two tensors


@cache
def addresses(dtype: torch.dtype) -> Tensor:
    """Room for tensors of 17 entries, reserved but not promised.

    Raises:
        OSError: this machine does not give so many addresses.
    """
    no_reserve = 0x4000  # MAP_NORESERVE, which Python names from 3.13 on
    size = (16 * STEP + 8 * APART) * dtype.itemsize
    return torch.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve), dtype=dtype)


def reserve() -> None:
    addresses(torch.float16)


def apart(dim: int, *tensors: Tensor) -> list[Tensor]:
    """The tensors with the entries of one dimension STEP numbers apart."""
    placed = []
    for number, x in enumerate(tensors):
        strides = list(x.stride())
        strides[dim] = STEP
        placed.append(addresses(x.dtype).as_strided(x.shape, strides, number * APART).copy_(x))
    return placed


def simple(dim: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return simple_flash_attention(*apart(dim, q, k, v), block_m=16, block_n=16)[0]


def forward_and_backward(dim: int, q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> list[Tensor]:
    q, dout = apart(dim, q, dout)
    return fast(q, k, v, dout)


def keys_of_backward(dim: int, q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> list[Tensor]:
    return fast(q, *apart(dim, k, v), dout)


def sparse(dim: int, q: Tensor, k: Tensor, v: Tensor, dout: Tensor, blocks: Tensor) -> list[Tensor]:
    return results(triton_block_sparse_attention, *apart(dim, q, k, v, dout), None, blocks, 16)


def decoding(dim: int, q: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    tile = Tile(16, 32, num_warps=4, num_stages=1)
    return flash_decoding(q, *apart(dim, keys, values), lengths, tile=tile, rows=32)
