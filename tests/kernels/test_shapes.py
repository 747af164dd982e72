"""Tensors that do not fit each other are refused by name, by every function that attends or multiplies."""

from importlib import import_module

import jaxtyping
import pytest
import torch

from nimblelm.inference.medusa.tree_attention import tree_attention
from nimblelm.kernels.flash_attention.online_softmax import merge_parts
from nimblelm.kernels.flash_attention.tiled import tiled_attention, tiled_attention_gradients
from nimblelm.kernels.flash_decoding.launch import flash_decoding as triton_flash_decoding
from nimblelm.kernels.shapes import check_attention, check_fit
from nimblelm.kernels.weight_only_matmul import Int4Weight, Int8Weight, quantize_int4, quantize_int8
from nimblelm.kernels.weight_only_matmul.launch import weight_only_matmul
from nimblelm.nn.long_range.linear_attention import linear_attention, linear_step
from nimblelm.nn.long_range.linformer import linformer_attention
from nimblelm.nn.long_range.local_attention import local_attention
from nimblelm.nn.long_range.performer import performer_attention
from nimblelm.nn.long_range.reformer import lsh_attention
from nimblelm.nn.long_range.smyrf import smyrf_attention
from nimblelm.nn.norms import RMSNorm
from nimblelm.nn.positions import rotary_table, rotate
from tests.tensor_variants import Case

TABLES = {room: import_module(f"tests.variants.{room}").CASES for room in ("kernels", "nn")}
ATTENTION = [  # (room, case, tensor that is cut)
    (room, case, name)
    for room, table in TABLES.items()
    for case, entry in table.items()
    if isinstance(entry, Case) and not entry.interpreted and {"q"} < {"v", "values", "q"} & entry.tensors().keys()
    for name in {"k", "keys", "v", "values"} & entry.tensors().keys()
]


@pytest.fixture(autouse=True)
def no_run_time_types():
    """As a user has it: the shapes in the signatures are not checked."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def q(batch=2, length=6, heads=4, dim=32, dtype=torch.float32, device="cpu"):
    return torch.randn(batch, length, heads, dim).to(device, dtype)


@pytest.mark.parametrize(("room", "case", "name"), sorted(ATTENTION))
def test_keys_and_values_must_fit_each_other(room, case, name):
    """Shorter, of another batch, of other heads, narrower, elsewhere: each refused with a number or a device."""
    table = TABLES[room][case]
    tensors = table.tensors()
    for dim in range(tensors[name].dim()):
        for length in (1, tensors[name].shape[dim] - 1):
            cut = tensors[name].narrow(dim, 0, length)
            if cut.shape != tensors[name].shape:
                with pytest.raises(ValueError, match=r"\d"):
                    table.function(**tensors | {name: cut})
    with pytest.raises(ValueError, match="meta"):
        table.function(**tensors | {name: tensors[name].to("meta")})


INT8, INT4 = quantize_int8(torch.randn(6, 64)), quantize_int4(torch.randn(6, 64), 32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_attention(q(heads=4), q(heads=3), q(heads=3)), "4 query heads are not a multiple of 3"),
        (lambda: check_attention(q(dim=0), q(dim=0), q(dim=0)), "head_dim of 0"),
        (lambda: check_attention(q()[0], q(), q()), r"q \(6, 4, 32\) is not \(B, Sq, H, D\)"),
        (lambda: check_attention(q(), q(dtype=torch.float16), q()), "k is torch.float16"),
        (lambda: check_fit(x=(q(), "B ... D"), y=(q(length=5), "B ... D")), r"\.\.\. is \(6, 4\) and \(5, 4\)"),
        (lambda: check_fit(x=(q(), "2 6 3 D")), "has 4 where 3 is needed"),
        (lambda: triton_flash_decoding(q(), q(), q(), torch.ones(3, dtype=torch.int32)), r"lengths \(3,\)"),
        (lambda: triton_flash_decoding(q(), q(), q(), torch.ones(2, dtype=torch.int32), rows=48), "48 rows .* 32"),
        (lambda: tree_attention(q(), q(), q(), torch.ones(5, 5).bool()), r"mask \(5, 5\) does not fit 6 nodes"),
        (lambda: tree_attention(q(), q(length=5), q(length=5), torch.ones(6, 6).bool()), "6 nodes and 5 keys"),
        (lambda: merge_parts(torch.zeros(3, 2, 6, 8), torch.zeros(3, 1, 6)), r"\(2, 6\) and \(1, 6\)"),
        (lambda: tiled_attention_gradients(q(), q(), q(), q(), torch.zeros(2, 4, 5), q()), "Sq is 6 and 5"),
        (lambda: tiled_attention_gradients(q(), q(), q(), q(), torch.zeros(2, 4, 6), q(length=1)), "Sq is 6 and 1"),
        (lambda: tiled_attention(q(), q(), q(length=1)), "Sk is 6 and 1"),
        (lambda: linear_attention(q(), q(length=5), q(length=5), causal=True), "T is 6 and 5"),
        (lambda: linear_step(linear_step(None, *[q(3)[:, 0]] * 3)[1], *[q(2)[:, 0]] * 3), "B is 3 and 2"),
        (lambda: linformer_attention(q(), q(), q(), torch.ones(3, 6), torch.ones(3, 5)), "S is 6 and 5"),
        (lambda: linformer_attention(q(), q(), q(), torch.ones(3, 6), torch.ones(1, 6)), "R is 3 and 1"),
        (lambda: local_attention(q(), q(), q(), 0), "window 0"),
        (lambda: performer_attention(q(), q(), q(), torch.ones(5, 31)), "D is 32 and 31"),
        (lambda: lsh_attention(q(), q(), torch.zeros(1, 2, 1, 6, dtype=torch.int64), 1), "H is 4 and 1"),
        (lambda: smyrf_attention(q(), q(), q(), torch.ones(1, 32), 1), r"directions \(1, 32\)"),
        (lambda: RMSNorm(16)(torch.ones(2, 1)), r"\(2, 1\) is not 16 wide"),
        (lambda: rotate(q(), rotary_table(1, 32)), r"table \(2, 1, 32\)"),
        (lambda: weight_only_matmul(torch.ones(4, 128), INT8), "x is 128 wide, the weight has 64"),
        (lambda: Int8Weight(INT8.values, INT8.scales[:1]), "N is 6 and 1"),
        (lambda: Int4Weight(INT4.packed, INT4.scales[:, :1], 32), "1 groups of 32 are not 64 columns"),
        (lambda: Int4Weight(INT4.packed, INT4.scales, 48), "group_size 48"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
