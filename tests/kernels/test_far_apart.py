"""Offsets of more than 2^31 numbers: batches, rows and heads of attention far apart in memory."""

import pytest
import torch

from nimblelm.kernels.flash_attention.reference import attention, attention_gradients
from nimblelm.kernels.flash_decoding import reference
from tests.kernels import far_apart
from tests.kernels.interpreter import Interpreter

DIMENSIONS = {"batches": 0, "rows": 1, "heads": 2}


@pytest.fixture(scope="module")
def alone():
    """An interpreter of its own: a wrong offset ends its process."""
    interpreter = Interpreter()
    try:
        interpreter(far_apart.reserve)
    except OSError as error:
        pytest.skip(f"this machine does not reserve 4 GB of addresses: {error}")
    yield interpreter
    interpreter.close()


def tensors(dim: int, count: int, seed: int = 0) -> list[torch.Tensor]:
    """Of 17 entries along one dimension, in float16: they span 4 GB of addresses."""
    shape = [1, 1, 1, 32]
    shape[dim] = 17
    return list(torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed)).half())


def assert_close(ours, exactly):
    for x, y in zip(ours, exactly, strict=True):
        torch.testing.assert_close(x.double(), y, atol=4e-3, rtol=4e-3)


@pytest.mark.parametrize("dim", DIMENSIONS.values(), ids=DIMENSIONS)
def test_teaching_kernel(alone, dim):
    q, k, v = tensors(dim, 3)
    assert_close([alone(far_apart.simple, dim, q, k, v)], attention(q, k, v)[:1])


@pytest.mark.parametrize("which", [far_apart.forward_and_backward, far_apart.keys_of_backward])
@pytest.mark.parametrize("dim", DIMENSIONS.values(), ids=DIMENSIONS)
def test_fast_kernels(alone, dim, which):
    q, k, v, dout = tensors(dim, 4)
    assert_close(alone(which, dim, q, k, v, dout), (*attention(q, k, v), *attention_gradients(q, k, v, dout)))


@pytest.mark.parametrize("dim", [0, 2], ids=["batches", "heads"])
def test_block_sparse_kernels(alone, dim):
    q, k, v, dout = tensors(dim, 4)
    blocks = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    ours = alone(far_apart.sparse, dim, q, k, v, dout, blocks)
    assert_close(ours, (*attention(q, k, v), *attention_gradients(q, k, v, dout)))


@pytest.mark.parametrize("dim", DIMENSIONS.values(), ids=DIMENSIONS)
def test_flash_decoding(alone, dim):
    q, keys, values = tensors(dim, 3)
    q = q[:, -1:]
    lengths = torch.full((len(q),), keys.shape[1], dtype=torch.int32)
    exactly = reference.flash_decoding(q.double(), keys.double(), values.double(), lengths)
    assert_close([alone(far_apart.decoding, dim, q, keys, values, lengths)], [exactly])
