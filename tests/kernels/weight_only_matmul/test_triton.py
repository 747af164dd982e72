"""The kernels under the interpreter, against float64 and against torch's product in the same dtype."""

import pytest
import torch

from nimblelm.kernels.weight_only_matmul import launch as kernels
from nimblelm.kernels.weight_only_matmul import quantize_int4, quantize_int8, reference, weight_only_matmul
from nimblelm.nn.weight_layout import store_by_column
from tests.kernels.accuracy import assert_accurate
from tests.kernels.weight_only_matmul.cases import activations_and_weight, eager

SHAPES = [  # M, N, K, group size (0: int8)
    (1, 100, 1030, 0),
    (1, 7, 4096, 0),  # split
    (3, 130, 300, 0),
    (33, 20, 1100, 0),
    (128, 5, 128, 0),
    (1, 100, 1024, 128),
    (16, 130, 384, 64),
    (17, 40, 640, 32),
    (65, 5, 2560, 128),  # split
]


def in_a_tile(x, weight, num_tokens):
    """Called in the interpreter's process: the product in the tile of half precision for so many tokens."""
    return kernels.weight_only_matmul(x, weight, kernels.choose_tile(num_tokens, 4, torch.float16))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_error_is_at_most_twice_that_of_eager_torch(interpreted, shape, dtype):
    x, weight = activations_and_weight(*shape, dtype)
    exact = reference.weight_only_matmul(x.double(), weight)
    out = interpreted(kernels.weight_only_matmul, x, weight)
    assert (out.dtype, out.shape) == (dtype, (x.shape[0], weight.shape[0]))
    assert_accurate(out, eager(x, weight), exact)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("num_tokens", [16, 32, 64, 128])
def test_integers_come_out_exactly_in_every_tile(interpreted, num_tokens, bits):
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(-7, 8, (140, 512), generator=generator).float()
    values[:, ::32] = 7.0 if bits == 4 else 127.0  # steps of 1
    weight = quantize_int4(values) if bits == 4 else quantize_int8(values)
    assert torch.equal(weight.dequantize(), values)
    x = torch.randint(-1, 2, (num_tokens, 512), generator=generator).half()
    assert torch.equal(interpreted(in_a_tile, x, weight, num_tokens), (x.float() @ values.T).half())


@pytest.mark.parametrize("group_size", [0, 128])
def test_results_repeat_bit_by_bit(interpreted, group_size):
    x, weight = activations_and_weight(2, 40, 4096, group_size, torch.float16)
    first, second = (interpreted(kernels.weight_only_matmul, x, weight) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("group_size", [0, 64])
def test_leading_dimensions_and_strides_are_kept(interpreted, group_size):
    x, weight = activations_and_weight(6, 30, 256, group_size)
    out = interpreted(kernels.weight_only_matmul, x, weight)
    assert torch.equal(interpreted(kernels.weight_only_matmul, x.view(2, 3, 256), weight), out.view(2, 3, 30))
    apart = torch.zeros(6, 512)[:, ::2].copy_(x)
    assert torch.equal(interpreted(kernels.weight_only_matmul, apart, weight), out)


@pytest.mark.parametrize("num_tokens", [1, 3, 20])
def test_weights_that_a_decoder_stored_by_column(interpreted, num_tokens):
    linear = torch.nn.Linear(128, 64, bias=False)
    store_by_column(linear)
    weight = linear.weight.detach()
    assert not weight.is_contiguous()
    x = torch.randn(num_tokens, 128)
    for packed in (
        quantize_int8(weight),
        quantize_int4(weight, 32),
        quantize_int8(weight[::2]),
        quantize_int8(weight.T),
    ):
        rows = x[:, : packed.shape[1]]
        exact = reference.weight_only_matmul(rows.double(), packed)
        torch.testing.assert_close(
            interpreted(kernels.weight_only_matmul, rows, packed).double(), exact, atol=1e-4, rtol=1e-4
        )


def test_the_cpu_takes_the_reference():
    for group_size in (0, 64):
        x, weight = activations_and_weight(5, 30, 256, group_size)
        torch.testing.assert_close(weight_only_matmul(x, weight), x @ weight.dequantize().T)
        assert weight_only_matmul(x[:0], weight).shape == (0, 30)
        assert weight_only_matmul(x.view(5, 1, 256), weight).shape == (5, 1, 30)


def test_what_does_not_fit_is_refused():
    x, weight = activations_and_weight(5, 30, 256, 0)
    with pytest.raises(ValueError, match="x is 255 wide, the weight has 256"):
        weight_only_matmul(x[:, 1:], weight)
    with pytest.raises(ValueError, match="x is on meta"):
        weight_only_matmul(x.to("meta"), weight)


@pytest.mark.parametrize(
    ("num_tiles", "num_steps", "slots", "expected"),
    [(128, 128, 396, 3), (1024, 32, 528, 1), (1, 128, 396, 16), (1, 9, 396, 2), (396, 128, 396, 1), (400, 1, 396, 1)],
)
def test_splits_fill_the_machine(num_tiles, num_steps, slots, expected):
    assert kernels.choose_splits(num_tiles, num_steps, slots) == expected
