"""On a GPU: accuracy in all dtypes, repeatability, and a captured graph that follows the lengths."""

import pytest
import torch

from nimblelm.kernels.flash_decoding import flash_decoding, reference
from tests.kernels.accuracy import RMSE_LIMIT, assert_accurate
from tests.kernels.flash_decoding.cases import CASES, Case, eager

pytestmark = pytest.mark.gpu

LONG = [
    Case((4097, 8192, 1, 6000, 0), H=32, group=4, S=8192, D=128),
    Case((8192, 5), T=16, H=32, group=8, S=8192, D=128),  # 128 query rows, by wgmma
    Case((3000, 77), T=8, H=16, group=4, S=3001, D=64),
    Case((1000,), T=3, H=12, group=1, S=1024, D=96),
]


@pytest.mark.parametrize("dtype", RMSE_LIMIT, ids=str)
@pytest.mark.parametrize("case", CASES + LONG, ids=str)
def test_error_is_at_most_twice_that_of_eager_attention(case, dtype):
    tensors = case.tensors(dtype, "cuda")
    exact = reference.flash_decoding(*(t.double() for t in tensors[:3]), tensors[3])
    assert_accurate(flash_decoding(*tensors), eager(*tensors), exact)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("T", [1, 16])
def test_uniform_weights_count_integers_exactly(T, dtype):
    """Sums of integers leave no room for rounding: an instruction that reads a wrong register shows at once."""
    generator = torch.Generator("cuda").manual_seed(0)
    values = torch.randint(-8, 9, (8, 4096, 4, 128), device="cuda", generator=generator)
    keys = torch.randn(8, 4096, 4, 128, device="cuda", generator=generator).to(dtype)
    q = torch.zeros(8, T, 32, 128, device="cuda", dtype=dtype)
    lengths = torch.full((8,), 4096, device="cuda", dtype=torch.int32)
    out = flash_decoding(q, keys, values.to(dtype), lengths)[:, -1]
    assert torch.equal(out, (values.double().sum(1) / 4096).to(dtype).repeat_interleave(8, 1))


@pytest.mark.parametrize("case", LONG, ids=str)
def test_results_repeat_bit_by_bit(case):
    tensors = case.tensors(torch.bfloat16, "cuda")
    first = flash_decoding(*tensors)
    assert all(torch.equal(first, flash_decoding(*tensors)) for _ in range(20))


@pytest.mark.parametrize("case", LONG[:3], ids=str)
def test_a_sequence_gives_the_same_bits_alone_and_in_a_batch(case):
    *tensors, lengths = case.tensors(torch.bfloat16, "cuda")
    together = flash_decoding(*tensors, lengths)
    for row in range(len(lengths)):
        alone = flash_decoding(*(t[row : row + 1] for t in tensors), lengths[row : row + 1])
        assert torch.equal(alone[0], together[row])


def test_a_block_of_drafts_gives_the_same_bits_as_its_tokens_one_by_one():
    """As long as both fit one tile of 16 rows: bf16 sequences are then those of plain decoding."""
    q, keys, values, lengths = Case((4000, 65), T=4, H=32, group=4, S=4096, D=128).tensors(torch.bfloat16, "cuda", 0.0)
    block = flash_decoding(q, keys, values, lengths)
    for token in range(4):
        alone = flash_decoding(q[:, token : token + 1], keys, values, lengths - 3 + token)
        assert torch.equal(alone[:, 0], block[:, token])


def test_a_captured_graph_follows_the_lengths():
    q, keys, values, lengths = Case((512, 512), T=4, H=8, group=4, S=512, D=64).tensors(torch.bfloat16, "cuda", 0.0)
    flash_decoding(q, keys, values, lengths)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = flash_decoding(q, keys, values, lengths)
    held = torch.cuda.memory_allocated()
    for pair in ((512, 512), (65, 3), (0, 100), (7, 511)):
        lengths.copy_(torch.tensor(pair, dtype=torch.int32))
        graph.replay()
        assert torch.equal(out, flash_decoding(q, keys, values, lengths))
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == held
