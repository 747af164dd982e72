"""How the functions of `nimblelm.kernels` are called with tensors."""

import torch

from nimblelm.kernels import absmax
from nimblelm.kernels import flash_attention as dispatch
from nimblelm.kernels import flash_decoding as decoding
from nimblelm.kernels import weight_only_matmul as products
from nimblelm.kernels.flash_attention import online_softmax, reference, tiled
from nimblelm.kernels.flash_attention.block_sparse import block_lists, by_key_block, triton_block_sparse_attention
from nimblelm.kernels.flash_attention.launch import triton_flash_attention
from nimblelm.kernels.flash_attention.shared import tma_aligned
from nimblelm.kernels.flash_attention.simple import simple_flash_attention
from nimblelm.kernels.flash_decoding import launch as decoding_kernels
from nimblelm.kernels.flash_decoding import reference as decoding_reference
from nimblelm.kernels.flash_decoding import split
from nimblelm.kernels.tile import Tile
from nimblelm.kernels.weight_only_matmul import Int4Weight, Int8Weight, quantized_weight
from nimblelm.kernels.weight_only_matmul import launch as product_kernels
from nimblelm.kernels.weight_only_matmul import reference as products_reference
from tests.kernels.flash_attention.interpreted import SMALL
from tests.tensor_variants import ALL, Arguments, Case, Exempt

NOT_YET: tuple[str, ...] = ()
HALF = (torch.float32, torch.float16)  # the interpreter's tl.dot multiplies bfloat16 wrongly
SHORT = Tile(16, 4, num_warps=4, num_stages=1)
HOST = Exempt("asks shapes and strides alone")
INNER = Exempt("part of triton_flash_attention, which lays tensors out for it")


def random(**shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def qkv(num_queries: int = 5, num_heads: int = 4) -> Arguments:
    return random(q=(2, num_queries, num_heads, 32), k=(2, 7, 2, 32), v=(2, 7, 2, 32))


def with_gradients(attend, *settings):
    """(out, lse, dq, dk, dv) as a function of q, k, v and the gradients of out and, where it is there, of lse."""

    def function(q, k, v, dout, dlse):
        inputs = [x.detach().requires_grad_() for x in (q, k, v)]
        results = attend(*inputs, *settings)
        results = results if isinstance(results, tuple) else (results,)
        gradients = torch.autograd.grad(results, inputs, (dout, dlse)[: len(results)])
        return *results, *gradients

    return function


def attention_case(attend, *settings, exact=None, interpreted=False, causal=False) -> Case:
    oracle = with_gradients(exact or (lambda q, k, v: reference.attention(q, k, v, causal)))
    both = with_gradients(attend, *settings)

    heads = 2 if interpreted else 4

    def tensors() -> Arguments:
        return qkv(num_heads=heads) | random(dout=(2, 5, heads, 32), dlse=(2, heads, 5))

    own = frozenset({"dlse", "dout"})  # autograd demands the dtypes of the results
    return Case(
        lambda dout, dlse, **inputs: both(dout=dout.to(inputs["q"].dtype), dlse=dlse, **inputs),
        tensors,
        lambda dout, dlse, **inputs: oracle(dout=dout.double(), dlse=dlse.double(), **inputs),
        HALF if interpreted else ALL,
        own_dtype=own,
        interpreted=interpreted,
    )


def without_lse(attend):
    return lambda **inputs: attend(**inputs)[0]


CODES = torch.arange(-60, 60).reshape(3, 40)
BLOCKS = torch.tensor([[True, False, True], [True, True, False]])[None, None]


def sparse(attend, interpreted=False) -> Case:
    def tensors() -> Arguments:
        return random(q=(1, 20, 2, 32), k=(1, 40, 2, 32), v=(1, 40, 2, 32)) | {"blocks": BLOCKS.clone()}

    def exact(q, k, v, blocks):
        visible = blocks.repeat_interleave(16, 2).repeat_interleave(16, 3)[:, :, :20, :40]
        return reference.attention(q, k, v, True, None, visible)

    return Case(
        lambda q, k, v, blocks: attend(q, k, v, blocks, 16, True),
        tensors,
        exact,
        HALF if interpreted else ALL,
        interpreted=interpreted,
    )


def decoded(attend, interpreted=False, **settings) -> Case:
    def tensors() -> Arguments:
        lengths = torch.tensor([9, 3, 6], dtype=torch.int32)
        return random(q=(3, 2, 4, 32), keys=(3, 11, 2, 32), values=(3, 11, 2, 32)) | {"lengths": lengths}

    return Case(
        lambda q, keys, values, lengths: attend(q, keys, values, lengths, **settings),
        tensors,
        decoding_reference.flash_decoding,
        HALF if interpreted else ALL,
        interpreted=interpreted,
    )


def int8_product(multiply, num_tokens: int, interpreted=False) -> Case:
    def tensors() -> Arguments:
        weight = products.quantize_int8(random(weight=(20, 128))["weight"])
        return random(x=(num_tokens, 128)) | {"values": weight.values, "scales": weight.scales}

    return Case(
        lambda x, values, scales: multiply(x, Int8Weight(values, scales)),
        tensors,
        lambda x, values, scales: x @ (values.double() * scales.double()[:, None]).T,
        HALF if interpreted else ALL,
        own_dtype=frozenset({"values", "scales"}),
        interpreted=interpreted,
    )


def int4_product(multiply, num_tokens: int, interpreted=False) -> Case:
    def tensors() -> Arguments:
        weight = products.quantize_int4(random(weight=(20, 128))["weight"], 32)
        return random(x=(num_tokens, 128)) | {"packed": weight.packed, "scales": weight.scales}

    return Case(
        lambda x, packed, scales: multiply(x, Int4Weight(packed, scales, 32)),
        tensors,
        lambda x, packed, scales: x @ _dequantized_int4(packed, scales).T,
        HALF if interpreted else ALL,
        own_dtype=frozenset({"packed", "scales"}),
        interpreted=interpreted,
    )


def _dequantized_int4(packed, scales):
    """By the definition, a value at a time: byte j of a group holds the columns j and j + 16, each plus 8."""
    weight = torch.empty(packed.shape[0], 2 * packed.shape[1], dtype=torch.float64)
    for group in range(scales.shape[1]):
        for j in range(16):
            byte = packed[:, 16 * group + j].long()
            weight[:, 32 * group + j] = (byte % 16 - 8) * scales[:, group].double()
            weight[:, 32 * group + 16 + j] = (byte // 16 - 8) * scales[:, group].double()
    return weight


def tiled_gradients(q, k, v, dout):
    out, lse = tiled.tiled_attention(q, k, v, True)
    return tiled.tiled_attention_gradients(q, k, v, out, lse, dout, True, None, 2, 3)


def a_tile() -> Arguments:
    state = {"highest": torch.zeros(2, 5), "total": torch.full((2, 5), 1.5)}
    return state | random(weighted=(2, 5, 8), scores=(2, 5, 3), values=(2, 3, 8))


def state_of(highest, total, weighted):
    return online_softmax.SoftmaxState(highest, total, weighted)


CASES: dict[str, Case | Exempt] = {
    "kernels.flash_attention.flash_attention": attention_case(
        dispatch.flash_attention, True, exact=lambda q, k, v: reference.attention(q, k, v, True)[0]
    ),
    "kernels.flash_attention.flash_attention[full]": attention_case(
        dispatch.flash_attention, exact=lambda q, k, v: reference.attention(q, k, v)[0]
    ),
    "kernels.flash_attention.flash_attention[a token]": Case(
        dispatch.flash_attention, lambda: qkv(num_queries=1), without_lse(reference.attention)
    ),
    "kernels.flash_attention.flash_attention_with_lse": attention_case(
        dispatch.flash_attention_with_lse, True, causal=True
    ),
    "kernels.flash_attention.block_sparse_attention": sparse(dispatch.block_sparse_attention),
    "kernels.flash_attention.reference.attention": Case(reference.attention, qkv),
    "kernels.flash_attention.reference.attention_gradients": Case(
        reference.attention_gradients, lambda: qkv() | random(dout=(2, 5, 4, 32))
    ),
    "kernels.flash_attention.tiled.tiled_attention": Case(
        lambda q, k, v: tiled.tiled_attention(q, k, v, True, None, 2, 3),
        qkv,
        lambda **x: reference.attention(**x, causal=True),
    ),
    "kernels.flash_attention.tiled.tiled_attention_gradients": Case(
        tiled_gradients,
        lambda: qkv() | random(dout=(2, 5, 4, 32)),
        lambda **x: reference.attention_gradients(**x, causal=True),
    ),
    "kernels.flash_attention.simple.simple_flash_attention": Case(
        lambda q, k, v: simple_flash_attention(q, k, v, True, None, 16, 16),
        qkv,
        lambda **x: reference.attention(**x, causal=True),
        HALF,
        interpreted=True,
    ),
    "kernels.flash_attention.launch.triton_flash_attention": attention_case(
        triton_flash_attention, True, None, SMALL, interpreted=True, causal=True
    ),
    "kernels.flash_attention.launch.triton_flash_attention[full]": Case(
        lambda q, k, v: triton_flash_attention(q, k, v, config=SMALL), qkv, reference.attention, HALF, interpreted=True
    ),
    "kernels.flash_attention.block_sparse.triton_block_sparse_attention": sparse(
        triton_block_sparse_attention, interpreted=True
    ),
    "kernels.flash_attention.block_sparse.block_lists": Case(block_lists, lambda: {"blocks": BLOCKS.clone()}),
    "kernels.flash_attention.block_sparse.by_key_block": Case(
        lambda blocks: by_key_block(blocks, 2, 2), lambda: {"blocks": BLOCKS.clone()}
    ),
    "kernels.flash_attention.online_softmax.no_keys_yet": Case(
        lambda like: online_softmax.no_keys_yet(like), lambda: random(like=(2, 5, 8))
    ),
    "kernels.flash_attention.online_softmax.absorb": Case(
        lambda highest, total, weighted, scores, values: online_softmax.absorb(
            state_of(highest, total, weighted), scores, values
        ),
        a_tile,
    ),
    "kernels.flash_attention.online_softmax.finish": Case(
        lambda **state: online_softmax.finish(state_of(**state)),
        lambda: {name: x for name, x in a_tile().items() if name in ("highest", "total", "weighted")},
    ),
    "kernels.flash_attention.online_softmax.merge_parts": Case(
        online_softmax.merge_parts, lambda: random(outs=(3, 2, 5, 8), lses=(3, 2, 5))
    ),
    "kernels.flash_attention.backward.prepare": INNER,
    "kernels.flash_attention.backward.by_row": INNER,
    "kernels.flash_attention.backward.backward": INNER,
    "kernels.flash_attention.forward.forward": INNER,
    "kernels.flash_attention.shared.descriptor": INNER,
    "kernels.flash_attention.shared.tma_aligned": Case(tma_aligned, lambda: random(x=(2, 5, 4, 32))),
    "kernels.flash_attention.shared.heads_per_l2_group": HOST,
    "kernels.flash_attention.launch.checked_scale": HOST,
    "kernels.flash_attention.launch.nothing": HOST,
    "kernels.flash_decoding.flash_decoding": decoded(decoding.flash_decoding),
    "kernels.flash_decoding.reference.flash_decoding": decoded(decoding_reference.flash_decoding),
    "kernels.flash_decoding.launch.flash_decoding": decoded(decoding_kernels.flash_decoding, True, tile=SHORT, rows=4),
    "kernels.flash_decoding.split.split_attention": Case(
        lambda q, k, v: split.split_attention(q, k, v, 3), qkv, reference.attention
    ),
    **{
        f"kernels.shapes.check_{what}": HOST
        for what in ("attention", "decoding", "dtype_and_device", "fit", "mask", "sizes")
    },
    "kernels.absmax.absmax_scales": Case(
        lambda x: absmax.absmax_scales(x, 127, torch.float32), lambda: random(x=(3, 5, 8))
    ),
    "kernels.absmax.round_to_scales": Case(
        lambda x, scales: absmax.round_to_scales(x, scales, 127),
        lambda: {"x": CODES[None].float() + 0.25, "scales": torch.ones(1, 3)},
        own_dtype=frozenset({"x", "scales"}),
    ),
    "kernels.weight_only_matmul.quantized_weight.finite_float32": Case(
        quantized_weight.finite_float32, lambda: random(weight=(3, 5))
    ),
    "kernels.weight_only_matmul.quantized_weight.check_product": HOST,
    "kernels.weight_only_matmul.weight_only_matmul[int8]": int8_product(products.weight_only_matmul, 3),
    "kernels.weight_only_matmul.weight_only_matmul[int4]": int4_product(products.weight_only_matmul, 3),
    "kernels.weight_only_matmul.reference.weight_only_matmul[int8]": int8_product(
        products_reference.weight_only_matmul, 3
    ),
    "kernels.weight_only_matmul.reference.weight_only_matmul[int4]": int4_product(
        products_reference.weight_only_matmul, 3
    ),
    "kernels.weight_only_matmul.launch.weight_only_matmul[int8, a token]": int8_product(
        product_kernels.weight_only_matmul, 1, True
    ),
    "kernels.weight_only_matmul.launch.weight_only_matmul[int8]": int8_product(
        product_kernels.weight_only_matmul, 3, True
    ),
    "kernels.weight_only_matmul.launch.weight_only_matmul[int4]": int4_product(
        product_kernels.weight_only_matmul, 3, True
    ),
    "kernels.weight_only_matmul.quantized_weight.Int8Weight.dequantize": Case(
        lambda values, scales: Int8Weight(values, scales).dequantize(),
        lambda: {name: x for name, x in int8_product(None, 1).tensors().items() if name != "x"},
        lambda values, scales: values.double() * scales.double()[:, None],
        own_dtype=frozenset({"values", "scales"}),
    ),
    "kernels.weight_only_matmul.quantized_weight.Int4Weight.dequantize": Case(
        lambda packed, scales: Int4Weight(packed, scales, 32).dequantize(),
        lambda: {name: x for name, x in int4_product(None, 1).tensors().items() if name != "x"},
        _dequantized_int4,
        own_dtype=frozenset({"packed", "scales"}),
    ),
    "kernels.weight_only_matmul.quantized_weight.pack_int4": Case(
        lambda values: quantized_weight.pack_int4(values, 32),
        lambda: {"values": (torch.arange(3 * 64).reshape(3, 64) % 15 - 7).to(torch.int8)},
    ),
    "kernels.weight_only_matmul.quantized_weight.unpack_int4": Case(
        lambda packed: quantized_weight.unpack_int4(packed, 32),
        lambda: {"packed": (torch.arange(3 * 32).reshape(3, 32) * 37 % 256).to(torch.uint8)},
    ),
    "kernels.weight_only_matmul.quantized_weight.quantize_int8": Case(
        lambda weight: products.quantize_int8(weight), lambda: random(weight=(20, 64))
    ),
    "kernels.weight_only_matmul.quantized_weight.quantize_int4": Case(
        lambda weight: products.quantize_int4(weight, 32), lambda: random(weight=(20, 64))
    ),
}
