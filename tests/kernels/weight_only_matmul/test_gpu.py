"""On a GPU: accuracy, exact integers through every tile, repeatability, and a captured graph."""

import pytest
import torch

from nimblelm.kernels.weight_only_matmul import quantize_int4, quantize_int8, reference, weight_only_matmul
from tests.kernels.accuracy import RMSE_LIMIT, assert_accurate
from tests.kernels.weight_only_matmul.cases import activations_and_weight, eager

pytestmark = pytest.mark.gpu

WEIGHTS = [  # N, K, group size (0: int8)
    (4096, 4096, 0),
    (1000, 1030, 0),
    (333, 8192, 0),
    (4096, 4096, 128),
    (1000, 1024, 64),
    (333, 8192, 32),
]


@pytest.mark.parametrize("dtype", RMSE_LIMIT, ids=str)
@pytest.mark.parametrize("num_tokens", [1, 5, 33, 128, 129])
@pytest.mark.parametrize("shape", WEIGHTS, ids=str)
def test_error_is_at_most_twice_that_of_eager_torch(shape, num_tokens, dtype):
    x, weight = activations_and_weight(num_tokens, *shape, dtype, "cuda")
    exact = reference.weight_only_matmul(x.double(), weight)
    assert_accurate(weight_only_matmul(x, weight), eager(x, weight), exact)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("num_tokens", [1, 16, 32, 64, 128])
def test_integers_come_out_exactly(num_tokens, bits, dtype):
    """Every weight its own integer: one wrong nibble, column or register shows."""
    generator = torch.Generator("cuda").manual_seed(0)
    values = torch.randint(-7, 8, (1000, 2048), device="cuda", generator=generator).float()
    values[:, ::32] = 7.0 if bits == 4 else 127.0  # steps of 1
    weight = quantize_int4(values) if bits == 4 else quantize_int8(values)
    x = torch.randint(-1, 2, (num_tokens, 2048), device="cuda", generator=generator)
    exact = x.double() @ values.double().T
    assert torch.equal(weight_only_matmul(x.to(dtype), weight), exact.to(dtype))


@pytest.mark.parametrize("num_tokens", [1, 16, 128])
@pytest.mark.parametrize("group_size", [0, 128])
def test_results_repeat_bit_by_bit_in_a_captured_graph_too(group_size, num_tokens):
    x, weight = activations_and_weight(num_tokens, 4096, 4096, group_size, torch.bfloat16, "cuda")
    first = weight_only_matmul(x, weight)
    assert all(torch.equal(first, weight_only_matmul(x, weight)) for _ in range(20))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = weight_only_matmul(x, weight)
    for factor in (1, -2):
        x.mul_(factor)
        graph.replay()
        assert torch.equal(out, weight_only_matmul(x, weight))
