"""Decoding with weights that are read in 8 or 4 bits: torch's packed products on a CPU, our Triton kernels on a GPU."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.compression.quantization.absmax import Quantized
from nimblelm.inference.decoding.fused import FusedAttention, for_decoding
from nimblelm.kernels.weight_only_matmul import Int4Weight, Int8Weight, quantize_int4, quantize_int8, weight_only_matmul
from nimblelm.kernels.weight_only_matmul.quantized_weight import unpack_int4
from nimblelm.language.llama import Llama
from nimblelm.nn.attend import causal
from nimblelm.nn.norms import RMSNorm

CPU_DTYPE = torch.bfloat16  # in which torch's packed products are fast: in float32 they are ten times slower


class Int8Linear(nn.Module):
    """y[n] = scales[n] sum_k values[n, k] x[k], the values read as the bytes they are.

    On a CPU activations and scales are rounded to bfloat16, a relative error of at most 2^-9 each, and sums are taken
    in float32 (`torch._weight_int8pack_mm`). On a GPU it is `weight_only_matmul`.

    Args:
        weight: from `quantize_int8`.

    Chapter: book/ch05_quantization_and_lora
    """

    def __init__(self, weight: Int8Weight):
        super().__init__()
        self.weight, self.rounded_scales = weight, weight.scales.to(CPU_DTYPE)
        self.out_features, self.in_features = weight.shape

    @property
    def size_bytes(self) -> int:
        return self.weight.size_bytes

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """In x's dtype."""
        if x.device.type != "cpu":
            return weight_only_matmul(x, self.weight)
        product: Any = torch.ops.aten._weight_int8pack_mm
        y = product(_rows(x), self.weight.values, self.rounded_scales)
        return y.to(x.dtype).view(*x.shape[:-1], self.out_features)


class Int4Linear(nn.Module):
    """y[n] = sum_k scales[n, group of k] values[n, k] x[k], two values read with a byte.

    On a CPU the weight is laid out anew in tiles, which `torch.ops.aten._weight_int4pack_mm_for_cpu` multiplies as
    (code - 8) scale + offset; activations, scales and offsets are rounded to bfloat16. On a GPU it is
    `weight_only_matmul`.

    Args:
        weight: from `quantize_int4`, or a grid of 4 bits with zero points, such as `gptq` gives.

    Raises:
        ValueError: the grid has other bits, no zero points, or groups of another size than 32, 64, 128 or 256.

    Chapter: book/ch05_quantization_and_lora
    """

    def __init__(self, weight: Int4Weight | Quantized):
        super().__init__()
        self.weight = weight
        codes, scales, offsets = _codes_and_grid(weight)
        self.out_features, self.in_features = codes.shape
        self.group_size = self.in_features // scales.shape[1]
        if codes.device.type == "cpu":
            self.tiles = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
            grid = torch.stack([scales.T, offsets.T], -1)  # (groups, N, 2)
            self.grid = grid.to(CPU_DTYPE).contiguous()

    @property
    def size_bytes(self) -> int:
        return self.weight.size_bytes

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """In x's dtype."""
        if x.device.type != "cpu":
            if isinstance(self.weight, Int4Weight):
                return weight_only_matmul(x, self.weight)
            return F.linear(x, self.weight.dequantize(x.dtype))
        product: Any = torch.ops.aten._weight_int4pack_mm_for_cpu
        y = product(_rows(x), self.tiles, self.group_size, self.grid)
        return y.to(x.dtype).view(*x.shape[:-1], self.out_features)


class BFloat16Linear(nn.Module):
    """y = W x with both rounded to bfloat16, which has float32's range and 8 bits of precision.

    Args:
        weight: in any floating dtype.

    Chapter: book/ch05_quantization_and_lora
    """

    def __init__(self, weight: Float[Tensor, "N K"]):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", weight.detach().to(torch.bfloat16).contiguous())

    @property
    def size_bytes(self) -> int:
        return 2 * self.out_features * self.in_features

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """In x's dtype."""
        return F.linear(x.to(torch.bfloat16), self.weight).to(x.dtype)  # pyright: ignore[reportArgumentType]


def int8_linear(weight: Float[Tensor, "N K"]) -> Int8Linear:
    """A byte a weight, a scale a row.

    Chapter: book/ch05_quantization_and_lora
    """
    return Int8Linear(quantize_int8(weight))


def int4_linear(weight: Float[Tensor, "N K"], group_size: int = 64) -> Int4Linear:
    """Half a byte a weight, a scale to each group of a row.

    Chapter: book/ch05_quantization_and_lora
    """
    return Int4Linear(quantize_int4(weight, group_size))


def packed_for_decoding(model: Llama, pack: Callable[[Tensor], nn.Module]) -> Llama:
    """The model as `for_decoding` fuses it, with every projection of its blocks replaced, and leaner steps between.

    The embedding, which is the head, stays in floats: logits in bfloat16 would tie. So do the residual stream, norms
    and attention. What `CachedModel` takes, it takes.

    Args:
        model: its weights are shared as far as they stay, and fused as `for_decoding` says.
        pack: makes a layer from a projection's weight, such as `int8_linear`.

    Raises:
        ValueError: of `pack`.

    Chapter: book/ch05_quantization_and_lora
    """
    fused = for_decoding(model)
    packed = copy.copy(fused)
    packed._modules = {**fused._modules, "blocks": _packed(fused.blocks, pack)}
    packed.attend = one_query_or_causal
    return packed


def one_query_or_causal(
    q: Float[Tensor, "B T H D"], k: Float[Tensor, "B S Hkv D"], v: Float[Tensor, "B S Hkv D"]
) -> Float[Tensor, "B T H D"]:
    """`causal`, without its checks where there is one query: a tenth of a small model's step.

    Chapter: book/ch05_quantization_and_lora
    """
    if q.shape[1] != 1 or q.is_cuda or k.shape != v.shape or not q.dtype == k.dtype == v.dtype:
        return causal(q, k, v)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True).transpose(1, 2)


class LeanRMSNorm(nn.Module):
    """`RMSNorm` in three of torch's operations, where a CPU starts eight.

    The numbers x and -x together have mean 0 and the variance mean(x^2), so the layer norm of both holds the RMS norm
    of x in its first half.

    Args:
        norm: whose gain is copied.
    """

    gains: Tensor

    def __init__(self, norm: RMSNorm):
        super().__init__()
        self.eps = norm.eps
        self.register_buffer("gains", norm.weight.detach().repeat(2))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        both = F.layer_norm(torch.cat([x, -x], -1), self.gains.shape, self.gains, None, self.eps)
        return both[..., : x.shape[-1]]


class PackedAttention(FusedAttention):
    """`FusedAttention` with both of its products replaced."""

    def __init__(self, fused: FusedAttention, pack: Callable[[Tensor], nn.Module]):
        nn.Module.__init__(self)
        self.head_dim, self.qk_v, self.q_k = fused.head_dim, fused.qk_v, fused.q_k
        self.qkv_proj, self.out_proj = pack(fused.weight.detach()), pack(fused.out_proj.weight.detach())

    def qkv(self, x: Tensor) -> Tensor:
        return self.qkv_proj(x)


def _codes_and_grid(weight: Int4Weight | Quantized) -> tuple[Tensor, Tensor, Tensor]:
    """Codes 0 to 15 (N, K), scales and offsets (N, groups): W = (code - 8) scale + offset."""
    if isinstance(weight, Int4Weight):
        return unpack_int4(weight.packed, weight.group_size).int() + 8, weight.scales, weight.scales * 0
    if weight.bits != 4 or weight.zero_points is None:
        raise ValueError(f"a grid of {weight.bits} bits must have 4, and zero points")
    num_rows, num_columns = weight.values.shape
    scales, zeros = (part.view(num_rows, -1).float() for part in (weight.scales, weight.zero_points))
    if num_columns // scales.shape[1] not in (32, 64, 128, 256):
        raise ValueError(f"groups of {num_columns // scales.shape[1]} are none of 32, 64, 128 and 256")
    return weight.values.int(), scales, (8 - zeros) * scales


def _packed(module: nn.Module, pack: Callable[[Tensor], nn.Module]) -> nn.Module:
    if isinstance(module, FusedAttention):
        return PackedAttention(module, pack)
    if isinstance(module, nn.Linear):
        return pack(module.weight.detach())
    if isinstance(module, RMSNorm) and next(module.parameters()).device.type == "cpu":
        return LeanRMSNorm(module)
    twin = copy.copy(module)
    twin._modules = {name: _packed(child, pack) for name, child in module.named_children()}
    return twin


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1]).to(CPU_DTYPE).contiguous()
