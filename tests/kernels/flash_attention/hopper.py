"""Each kernel of flash attention as it is launched on a Hopper GPU, compiled without one."""

from nimblelm.kernels.flash_attention.backward import dkv_kernel, dq_kernel
from nimblelm.kernels.flash_attention.block_sparse import (
    fit,
    sparse_dkv_kernel,
    sparse_dq_kernel,
    sparse_forward_kernel,
)
from nimblelm.kernels.flash_attention.configs import CONFIGS, Config
from nimblelm.kernels.flash_attention.forward import forward_kernel
from tests.kernels.compile_only import Compiled, compile_for_hopper

KERNELS = {"forward": forward_kernel, "dq": dq_kernel, "dkv": dkv_kernel}
SPARSE = {"forward": sparse_forward_kernel, "dq": sparse_dq_kernel, "dkv": sparse_dkv_kernel}
KEPT = {"forward": ("queries",), "dq": ("queries", "douts"), "dkv": ("keys", "values")}  # loaded through pointers


def compile_attention(
    name: str, head_dim: int, causal: bool, dtype: str, config: Config | None = None, block: int | None = None
) -> Compiled:
    """One kernel in one configuration of the table, or in another.

    Args:
        name: "forward", "dq" or "dkv".
        dtype: "bf16", "fp16" or "fp32".
        block: where given, the block-sparse kernel with masks of this block.
    """
    config = config or CONFIGS[head_dim, causal, 4 if dtype == "fp32" else 2]
    kernel, tile = KERNELS[name], getattr(config, name)
    constants = {"CAUSAL": causal, "HEAD_DIM": head_dim, "D": head_dim, "PRECISION": config.precision}
    if block:
        kernel = SPARSE[name]
        tile = fit(tile, block, tile.block_n if name == "dkv" else tile.block_m)
        constants |= {"BLOCK": block, "MASKED": True}
    constants |= {"BLOCK_M": tile.block_m, "BLOCK_N": tile.block_n}
    constants = {argument: value for argument, value in constants.items() if argument in kernel.arg_names}
    of_queries = f"tensordesc<{dtype}[1, {tile.block_m}, 1, {head_dim}]>"
    of_keys = f"tensordesc<{dtype}[1, {tile.block_n}, 1, {head_dim}]>"
    types = dict.fromkeys(("queries", "out", "douts", "dqs"), of_queries)
    types |= dict.fromkeys(("keys", "values", "dks", "dvs"), of_keys)
    types |= dict.fromkeys(KEPT[name], f"*{dtype}")
    types |= {
        f"{tensor}_{dimension}": "i32:16" for tensor in ("q", "k", "v", "do") for dimension in ("batch", "row", "head")
    }
    types |= dict.fromkeys(("lse", "lse_log2", "delta"), "*fp32") | dict.fromkeys(("scale", "scale_log2"), "fp32")
    types |= {"padded": "i32:16", "counts": "*i32", "indices": "*i32"}
    if name == "dkv":
        types |= dict.fromkeys(("lse_log2", "delta"), f"tensordesc<fp32[1, {tile.block_m}]>")
    signature = {argument: types.get(argument, "i32") for argument in kernel.arg_names if argument not in constants}
    return compile_for_hopper(kernel, signature, constants, num_warps=tile.num_warps, num_stages=tile.num_stages)
