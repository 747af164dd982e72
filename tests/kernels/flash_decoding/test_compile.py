"""Every shipped configuration compiled for a Hopper GPU, and two that must not ship."""

import pytest
import torch

from nimblelm.kernels.flash_decoding import launch as kernels
from tests.kernels.compile_only import Compiled, compile_for_hopper

TYPES = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.float32: "*fp32"}


def compiled(query_rows: int, head_dim: int, dtype: torch.dtype, options=None, stride="i32:16", **change) -> Compiled:
    tile = kernels.choose_tile(query_rows, head_dim, dtype)._replace(**change)
    pointers = dict.fromkeys(("q_ptr", "k_ptr", "v_ptr"), TYPES[dtype])
    results = dict.fromkeys(("part_ptr", "lse_ptr"), "*fp32")
    strides = dict.fromkeys(("stride_b", "stride_s", "stride_h", "num_rows"), stride) | {"split_size": "i32:16"}
    return compile_for_hopper(
        kernels.attend_split,
        {**pointers, **results, **strides, "lengths_ptr": "*i32", "scale_log2": "fp32", "T": "i32"},
        {
            "GROUP": 4,
            "HEAD_DIM": head_dim,
            "BLOCK_M": tile.block_m,
            "BLOCK_N": tile.block_n,
            "BLOCK_D": kernels.padded_dim(head_dim),
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
        **(options or {}),
    )


HALVES = [(rows, head_dim) for rows in (16, 32, 64) for head_dim in (32, 64, 128)]
SHIPPED = [
    *[(*shape, torch.bfloat16) for shape in HALVES],
    *[(16, head_dim, torch.float32) for head_dim in (32, 64, 128)],
    *[pytest.param(*shape, torch.float16, marks=pytest.mark.slow) for shape in HALVES],
    pytest.param(16, 96, torch.bfloat16, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("query_rows", "head_dim", "dtype"), SHIPPED, ids=str)
def test_shipped_configuration(query_rows, head_dim, dtype):
    built = compiled(query_rows, head_dim, dtype)
    assert built.faults(wgmma=query_rows >= 64) == []
    assert ("mma.sync" in built.ptx) == (dtype != torch.float32 and query_rows < 64)
    assert "cp.async.cg.shared.global" in built.ptx  # 16 bytes at a time, several steps ahead of their use
    # two programs to a multiprocessor, so that one loads while the other waits
    assert 2 * built.shared_bytes <= 228 * 1024
    assert 2 * 32 * built.num_warps * built.registers <= 65_536


@pytest.mark.parametrize("query_rows", [16, 64])
def test_strides_that_no_wide_load_divides(query_rows):
    assert compiled(query_rows, 40, torch.bfloat16, stride="i32").faults(wgmma=query_rows >= 64) == []


def test_merging_kernel():
    built = compile_for_hopper(
        kernels.merge_splits,
        {"part_ptr": "*fp32", "lse_ptr": "*fp32", "out_ptr": "*bf16", "num_splits": "i32"},
        {"HEAD_DIM": 128, "BLOCK_D": 128, "BLOCK_S": 16},
        num_warps=4,
    )
    assert built.faults(wgmma=False) == []


def test_a_configuration_that_does_not_fit_shared_memory_is_found():
    faults = compiled(16, 128, torch.bfloat16, block_n=128, num_stages=5).faults(wgmma=False)
    assert any("shared memory" in fault for fault in faults)


def test_a_configuration_that_spills_is_found():
    faults = compiled(32, 128, torch.bfloat16, options={"maxnreg": 64}).faults(wgmma=False)
    assert any("spilled" in fault for fault in faults)


def test_a_tile_without_wgmma_is_found():
    assert "no wgmma.mma_async" in compiled(16, 64, torch.bfloat16).faults()
