"""What the fast kernels share: the order of tiles, the keys that a tile sees, and tensors as TMA sees them."""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

L2_BYTES = 24 * 2**20  # keys and values that a section of heads may hold: half of Hopper's 50 MB second-level cache


@triton.jit
def program_to_tile(num_tiles, num_heads, section, LAST_FIRST: tl.constexpr):
    """The tile and the head of this program: (tile, head), head counting through the batch.

    Programs start in the order of their numbers. All tiles of a section of heads come before the next section, so that
    its keys and values stay in the second-level cache; within it, the most expensive tile of all heads comes first
    (LAST_FIRST: a causal tile of queries costs more the later it is), so that no long tile is left over for the end.
    """
    program = tl.program_id(0)
    first = program // (num_tiles * section) * section
    heads_here = tl.minimum(section, num_heads - first)
    within = program - first * num_tiles
    tile = within // heads_here
    if LAST_FIRST:
        tile = num_tiles - 1 - tile
    return tile, first + within % heads_here


@triton.jit
def load_once(
    pointer, batch_stride, row_stride, head_stride, batch, row, head, num_rows,
    ROWS: tl.constexpr, HEAD_DIM: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """ROWS rows of one head through pointers, (ROWS, D): zeros beyond the end and beyond HEAD_DIM.

    For what a program keeps. Loaded by TMA it would go on to the registers and stay there, 32 of them a thread; from
    here Triton puts it into shared memory, from which wgmma reads it.
    """
    pointer += batch.to(tl.int64) * batch_stride + row.to(tl.int64) * row_stride
    pointer += head.to(tl.int64) * head_stride
    rows, depth = tl.arange(0, ROWS)[:, None], tl.arange(0, D)[None, :]
    return tl.load(
        pointer + rows.to(tl.int64) * row_stride + depth, mask=(rows < num_rows - row) & (depth < HEAD_DIM), other=0.0
    )


@triton.jit
def load(tensor, batch, row, head, ROWS: tl.constexpr, D: tl.constexpr):
    """ROWS consecutive rows of one head through a descriptor, (ROWS, D): zeros beyond the end."""
    return tensor.load([batch, row, head, 0]).reshape(ROWS, D)


@triton.jit
def store(tensor, batch, row, head, value, ROWS: tl.constexpr, D: tl.constexpr):
    """The inverse of `load`; what lies beyond the end is dropped."""
    tensor.store([batch, row, head, 0], value.to(tensor.dtype).reshape(1, ROWS, 1, D))


def descriptor(x: Tensor, rows: int) -> TensorDescriptor:
    """A (B, S, H, head_dim) tensor, to be moved by TMA in tiles of `rows` rows of one head.

    Chapter: book/ch04_flash_attention
    """
    # the stride of a dimension of size 1 is never used, but TMA demands that it be a multiple of 16 bytes
    strides = [x.stride(i) if x.shape[i] > 1 else x.shape[3] for i in range(3)]
    return TensorDescriptor(x, list(x.shape), [*strides, 1], [1, rows, 1, 1 << (x.shape[3] - 1).bit_length()])


def tma_aligned(x: Tensor) -> Tensor:
    """x itself where TMA can move it (start and strides multiples of 16 bytes), else a contiguous copy."""
    strides = [x.stride(i) for i in range(3) if x.shape[i] > 1]
    aligned = all(s > 0 and s * x.element_size() % 16 == 0 for s in strides) and x.data_ptr() % 16 == 0
    return x if aligned and x.stride(3) == 1 else x.clone(memory_format=torch.contiguous_format)


def heads_per_l2_group(keys: Tensor, group: int) -> int:
    """Query heads whose keys and values fit the second-level cache together; a multiple of `group`."""
    head_bytes = 2 * keys.shape[1] * keys.shape[3] * keys.element_size()
    return group * max(1, L2_BYTES // head_bytes)
