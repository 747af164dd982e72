"""Weight-only quantized matmul in Triton: the launch."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportReturnType=false

import torch
import triton
from jaxtyping import Float
from torch import Tensor
from triton import knobs

from nimblelm.kernels.tile import Tile
from nimblelm.kernels.weight_only_matmul.configs import H200_MULTIPROCESSORS, choose_splits, choose_tile
from nimblelm.kernels.weight_only_matmul.kernels import int4_tiles, int8_gemv, int8_tiles, sum_splits
from nimblelm.kernels.weight_only_matmul.quantized_weight import Int4Weight, Int8Weight, check_product


def weight_only_matmul(
    x: Float[Tensor, "... K"], weight: Int8Weight | Int4Weight, tile: Tile | None = None
) -> Float[Tensor, "... N"]:
    """x W^T with one read of the packed weights, in one kernel, or two where K is split.

    Bytes moved: those of the weight and little more. Accumulator: float32; a split's sums are float32 too.
    Oracle: `reference.weight_only_matmul` in float64. No atomics: results repeat bit by bit.

    Args:
        x: activations, M tokens.
        weight: from `quantize_int8` or `quantize_int4`.
        tile: instead of the shipped configuration.

    Raises:
        ValueError: x does not fit the weight.
    """
    check_product(x, weight)
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
