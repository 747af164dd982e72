"""Every shipped configuration compiled for a Hopper GPU, and two that must not ship."""

from dataclasses import replace

import pytest

from nimblelm.kernels.flash_attention.configs import CONFIGS, Tile
from tests.kernels.flash_attention.hopper import KERNELS, compile_attention
from tests.kernels.sass import FROM_REGISTERS, disassemble, overwritten_operands

SHIPPED = [(name, *key) for name in KERNELS for key in CONFIGS]


def faults(name, head_dim, causal, size, dtype):
    # a float32 is three TF32 products of split operands; at 128 the backward tiles that fit are too small for wgmma
    small = size == 4 and head_dim == 128 and name != "forward"
    return compile_attention(name, head_dim, causal, dtype).faults(wgmma=not small, tma=True)


@pytest.mark.parametrize(("name", "head_dim", "causal", "size"), SHIPPED)
def test_shipped_configuration_fits_a_hopper_gpu(name, head_dim, causal, size):
    assert faults(name, head_dim, causal, size, "fp32" if size == 4 else "bf16") == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "head_dim", "causal", "size"), [c for c in SHIPPED if c[3] == 2])
def test_fp16_fits_where_bf16_does(name, head_dim, causal, size):
    assert faults(name, head_dim, causal, size, "fp16") == []


@pytest.mark.parametrize("block", [64, 128])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("name", list(KERNELS))
def test_block_sparse_kernels_fit_a_hopper_gpu(name, head_dim, causal, block):
    assert compile_attention(name, head_dim, causal, "bf16", block=block).faults(tma=True) == []


@pytest.mark.parametrize(("name", "head_dim", "causal", "size"), [c for c in SHIPPED if c[3] == 2])
def test_no_operand_of_a_running_wgmma_is_overwritten(name, head_dim, causal, size):
    lines = disassemble(compile_attention(name, head_dim, causal, "bf16").cubin)
    assert any(FROM_REGISTERS.search(line) for line in lines)  # the probabilities come from registers
    assert overwritten_operands(lines) == []


def test_an_overwritten_operand_is_caught():
    loop = [
        ".L_x_1:",
        "MOV R7, R30",
        "WARPGROUP.ARRIVE",
        "HGMMA.64x128x16.F32.BF16 R24, gdesc[UR4], R24",
        "WARPGROUP.DEPBAR.LE gsb0, 0x0",
        "F2FP.BF16.F32.PACK_AB R4, R31, R32",
        "HGMMA.64x128x16.F32.BF16 R88, R4, gdesc[UR8], R88, gsb0",
        "@!P0 BRA `(.L_x_1)",
        "WARPGROUP.DEPBAR.LE gsb0, 0x0",
        "LDS.128 R4, [R2]",
    ]
    assert overwritten_operands(loop) == ["MOV R7, R30 follows HGMMA.64x128x16.F32.BF16 R88, R4, gdesc[UR8], R88, gsb0"]
    assert overwritten_operands([line.replace("R7", "R8") for line in loop]) == []
    assert overwritten_operands([line.replace("MOV R7, R30", "LDS.64 R6, [R2]") for line in loop])
    assert overwritten_operands([line.replace("MOV R7, R30", "ST.E [R6], R4") for line in loop]) == []


def test_a_tile_too_large_for_its_warps_is_caught():
    config = CONFIGS[128, False, 2]
    crowded = replace(config, forward=config.forward._replace(num_warps=4))
    found = " ".join(compile_attention("forward", 128, False, "bf16", crowded).faults(tma=True))
    assert "spilled" in found
    assert "serialized" in found


def test_a_pipeline_too_deep_for_shared_memory_is_caught():
    deep = replace(CONFIGS[128, False, 2], forward=Tile(128, 128, 8, 4))
    assert "shared memory" in compile_attention("forward", 128, False, "bf16", deep).faults(tma=True)[0]
