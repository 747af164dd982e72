"""Weight-only products in Triton: which kernel, which tile, how many splits, and their sum."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportReturnType=false

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from triton import knobs

from nimblelm.kernels.wq_matmul.gemv import int8_gemv
from nimblelm.kernels.wq_matmul.quantized_weight import Int4Weight, Int8Weight
from nimblelm.kernels.wq_matmul.tiles import int4_tiles, int8_tiles

H200_MULTIPROCESSORS = 132
REGISTERS = 65_536  # of a multiprocessor
MAX_SPLITS, MIN_STEPS = 16, 4


class Tile(NamedTuple):
    """Tokens, channels and columns of one step of a program, its warps and loads in flight.

    Chapter: book/ch02_speculative_decoding
    """

    block_m: int
    block_n: int
    block_k: int  # int4 takes its group size instead
    num_warps: int
    num_stages: int
    resident: int  # programs that one multiprocessor holds at a time

    @property
    def registers(self) -> int:
        """What a thread may use for so many programs to fit; 255 is the most that there are."""
        return min(REGISTERS // (self.resident * 32 * self.num_warps), 255)


GEMV = Tile(1, 16, 512, num_warps=4, num_stages=1, resident=4)
TILES = {  # tokens at most -> tile. Untuned: chosen by the instructions that they compile to.
    16: Tile(16, 128, 128, num_warps=4, num_stages=4, resident=3),
    32: Tile(32, 128, 128, num_warps=4, num_stages=4, resident=2),
    64: Tile(64, 128, 128, num_warps=4, num_stages=3, resident=1),
    128: Tile(128, 128, 128, num_warps=8, num_stages=3, resident=1),
}
FLOAT32 = Tile(16, 32, 64, num_warps=4, num_stages=3, resident=2)  # no tensor cores: operands stand in registers


def choose_tile(num_tokens: int, bits: int, dtype: torch.dtype) -> Tile:
    """The shipped configuration for M tokens.

    A single token takes int8's matrix-vector kernel. In 4 bits it takes tensor cores as well: 15 of a tile's 16 rows
    idle, but what decides is the instructions that unpack a weight, and a tensor core spares those that multiply it.

    Chapter: book/ch02_speculative_decoding
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

    Chapter: book/ch02_speculative_decoding
    """
    most = max(1, min(MAX_SPLITS, num_steps // MIN_STEPS))
    return min(range(1, most + 1), key=lambda s: (-(-num_tiles * s // slots) / s, s))


@triton.jit
def sum_splits(parts_ptr, out_ptr, size, num_splits, BLOCK: tl.constexpr):
    """out = sum_s parts[s], in this order, so results repeat bit by bit.

    Chapter: book/ch02_speculative_decoding
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), tl.float32)
    for split in tl.range(num_splits):
        acc += tl.load(parts_ptr + split * size + i, mask=i < size, other=0.0)
    tl.store(out_ptr + i, acc.to(out_ptr.dtype.element_ty), mask=i < size)


def wq_matmul(
    x: Float[Tensor, "... K"], weight: Int8Weight | Int4Weight, tile: Tile | None = None
) -> Float[Tensor, "... N"]:
    """x W^T with one read of the packed weights, in one kernel, or two where K is split.

    Bytes moved: those of the weight and little more. Accumulator: float32; a split's sums are float32 too.
    Oracle: `reference.wq_matmul` in float64. No atomics: results repeat bit by bit.

    Args:
        x: activations, M tokens.
        weight: from `quantize_int8` or `quantize_int4`.
        tile: instead of the shipped configuration.

    Chapter: book/ch02_speculative_decoding
    """
    (N, K), bits = weight.shape, 8 if isinstance(weight, Int8Weight) else 4
    rows = x.reshape(-1, K).contiguous()
    M = len(rows)
    tile = tile or choose_tile(M, bits, x.dtype)
    step = tile.block_k if isinstance(weight, Int8Weight) else weight.group_size
    num_steps, column_tiles, row_tiles = (
        triton.cdiv(K, step),
        triton.cdiv(N, tile.block_n),
        triton.cdiv(M, tile.block_m),
    )
    slots = tile.resident * _multiprocessors(x.device)
    split_k = step * triton.cdiv(num_steps, choose_splits(column_tiles * row_tiles, num_steps, slots))
    num_splits = triton.cdiv(K, split_k)

    out = torch.empty(M, N, device=x.device, dtype=x.dtype)
    parts = out if num_splits == 1 else torch.empty(num_splits, M, N, device=x.device, dtype=torch.float32)
    options = {
        "BLOCK_N": tile.block_n,
        "num_warps": tile.num_warps,
        "num_stages": tile.num_stages,
        "maxnreg": tile.registers,
    }
    if isinstance(weight, Int4Weight):
        int4_tiles[column_tiles, num_splits, row_tiles](
            rows,
            weight.packed,
            weight.scales,
            parts,
            M,
            N,
            K,
            split_k,
            GROUP=weight.group_size,
            BLOCK_M=tile.block_m,
            PTX=not knobs.runtime.interpret,
            **options,
        )
    elif tile.block_m == 1:
        int8_gemv[column_tiles, num_splits](
            rows, weight.values, weight.scales, parts, N, K, split_k, BLOCK_K=step, **options
        )
    else:
        int8_tiles[column_tiles, num_splits, row_tiles](
            rows, weight.values, weight.scales, parts, M, N, K, split_k, BLOCK_M=tile.block_m, BLOCK_K=step, **options
        )
    if num_splits > 1:
        sum_splits[triton.cdiv(M * N, 1024),](parts, out, M * N, num_splits, BLOCK=1024)
    return out.view(*x.shape[:-1], N)


def _multiprocessors(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).multi_processor_count
    return H200_MULTIPROCESSORS
