"""Every shipped configuration compiled for a Hopper GPU, and some that must not ship."""

import pytest
import torch

from nimblelm.kernels.tile import REGISTERS, Tile
from nimblelm.kernels.weight_only_matmul import configs
from nimblelm.kernels.weight_only_matmul.kernels import int4_tiles, int8_gemv, int8_tiles
from tests.kernels.compile_only import Compiled, compile_for_hopper
from tests.kernels.weight_only_matmul.instructions import loop_instructions

TYPES = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.float32: "*fp32"}
GROUP_SIZE = 128
SHARED_BYTES, RESERVED_BYTES = 228 * 1024, 1024  # of a multiprocessor; reserved for each program


def compiled(
    tile: Tile, bits: int, dtype: torch.dtype, ptx=True, group_size=GROUP_SIZE, N="i32:16", **options
) -> Compiled:
    sizes = {"N": N, "K": "i32:16", "split_k": "i32:16"}
    signature = {"x_ptr": TYPES[dtype], "out_ptr": "*fp32", **sizes}
    constants = {"BLOCK_N": tile.block_n}
    if bits == 4:
        kernel = int4_tiles
        signature |= {"packed_ptr": "*u8", "scales_ptr": "*bf16", "M": "i32"}
        constants |= {"GROUP": group_size, "BLOCK_M": tile.block_m, "PTX": ptx}
    else:
        kernel = int8_gemv if tile.block_m == 1 else int8_tiles
        signature |= {"values_ptr": "*i8", "scales_ptr": "*fp32"} | ({} if tile.block_m == 1 else {"M": "i32"})
        constants |= {"BLOCK_K": tile.block_k} | ({} if tile.block_m == 1 else {"BLOCK_M": tile.block_m})
    options = {
        "num_warps": tile.num_warps,
        "num_stages": tile.num_stages,
        "maxnreg": tile.registers,
        **options,
    }
    return compile_for_hopper(kernel, signature, constants, **options)


TOKENS = (1, 16, 32, 64, 128)
SHIPPED = [
    *[(tokens, bits, torch.bfloat16) for tokens in TOKENS for bits in (8, 4) if (tokens, bits) != (1, 4)],
    *[(tokens, bits, torch.float32) for tokens, bits in ((1, 8), (128, 8), (128, 4))],
    (16, 4, torch.float16),
    *[
        pytest.param(tokens, bits, torch.float16, marks=pytest.mark.slow)
        for tokens in TOKENS
        for bits in (8, 4)
        if (tokens, bits) not in ((1, 4), (16, 4))
    ],
]


@pytest.mark.parametrize(("num_tokens", "bits", "dtype"), SHIPPED, ids=str)
def test_shipped_configuration(num_tokens, bits, dtype):
    tile = configs.choose_tile(num_tokens, bits, dtype)
    built = compiled(tile, bits, dtype)
    wgmma = tile.block_m >= 64
    assert built.faults(wgmma=wgmma) == []
    assert built.wgmma == wgmma
    assert ("mma.sync" in built.ptx) == (dtype != torch.float32 and 16 <= tile.block_m < 64)
    # as many programs fit a multiprocessor as the number of splits was chosen for
    assert tile.resident * 32 * built.num_warps * built.registers <= REGISTERS
    assert tile.resident * (built.shared_bytes + RESERVED_BYTES) <= SHARED_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("group_size", [32, 64])
@pytest.mark.parametrize("num_tokens", [16, 128])
def test_other_group_sizes(num_tokens, group_size):
    tile = configs.choose_tile(num_tokens, 4, torch.bfloat16)
    assert compiled(tile, 4, torch.bfloat16, group_size=group_size).faults(wgmma=tile.block_m >= 64) == []


@pytest.mark.parametrize(("num_tokens", "bits"), [(1, 8), (16, 8), (16, 4)])
def test_an_odd_number_of_channels(num_tokens, bits):
    tile = configs.choose_tile(num_tokens, bits, torch.bfloat16)
    assert compiled(tile, bits, torch.bfloat16, N="i32").faults(wgmma=False) == []


def test_wgmma_never_reads_weights_from_registers():
    """ptxas before 13.3 can corrupt such operands (triton issue 9433): both come from shared memory."""
    ptx = compiled(configs.TILES[64], 4, torch.bfloat16).ptx
    operands = [line.split("},")[1] for line in ptx.splitlines() if "wgmma.mma_async.sync" in line]
    assert operands
    assert not any("{" in line for line in operands)


def instructions_per_weight(tile: Tile, bits: int, ptx=True) -> float:
    columns = GROUP_SIZE if bits == 4 else tile.block_k
    built = compiled(tile, bits, torch.bfloat16, ptx)
    return loop_instructions(built) / (tile.block_n * columns / (32 * tile.num_warps))


def test_a_weight_costs_few_instructions():
    """At 4.3 TB/s an H200 receives 8.6e12 weights of 4 bits a second, or 4.3e12 of 8 bits.

    In that second it issues 132 multiprocessors x 128 lanes x 1.98e9 = 33e12 instructions: 3.9 to a weight, or 7.8.
    """
    assert instructions_per_weight(configs.TILES[16], 4) < 3.5
    assert instructions_per_weight(configs.TILES[16], 4, ptx=False) > 5  # so the instructions by hand pay
    assert instructions_per_weight(configs.GEMV, 8) < 4.5


def test_a_tile_that_does_not_fit_shared_memory_is_found():
    faults = compiled(configs.TILES[64]._replace(num_stages=8), 8, torch.bfloat16).faults()
    assert any("shared memory" in fault for fault in faults)


def test_a_tile_that_spills_is_found():
    faults = compiled(configs.TILES[16], 4, torch.bfloat16, maxnreg=64).faults(wgmma=False)
    assert any("spilled" in fault for fault in faults)
