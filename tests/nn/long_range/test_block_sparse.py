"""Block-sparse attention in torch against masked dense attention and against the kernels' own."""

import pytest
import torch

from nimblelm.kernels.flash_attention import block_sparse_attention
from nimblelm.nn.long_range.block_sparse import butterfly_blocks, gathered_block_attention
from tests.nn.long_range.cases import dense, tensors


@pytest.mark.parametrize(("length", "block"), [(64, 8), (61, 8), (7, 8), (96, 16)])
def test_visible_blocks_are_masked_dense_attention(length, block):
    q, k, v = tensors(length)
    num_blocks = -(-length // block)
    blocks = torch.rand(num_blocks, num_blocks, generator=torch.Generator().manual_seed(length)) < 0.4
    blocks |= torch.eye(num_blocks, dtype=torch.bool)
    seen = blocks.repeat_interleave(block, 0).repeat_interleave(block, 1)[:length, :length]
    torch.testing.assert_close(gathered_block_attention(q, k, v, blocks, block), dense(q, k, v, seen))


def test_agrees_with_the_kernels_block_sparse_attention():
    q, k, v = tensors(70)
    blocks = butterfly_blocks(5)
    theirs, _ = block_sparse_attention(q, k, v, blocks[None, None], 16)
    torch.testing.assert_close(gathered_block_attention(q, k, v, blocks, 16), theirs)


def test_a_butterfly_sees_itself_and_its_neighbours_in_one_bit():
    blocks = butterfly_blocks(16)
    for i in range(16):
        assert set(blocks[i].nonzero()[:, 0].tolist()) == {i, i ^ 1, i ^ 2, i ^ 4, i ^ 8}


def test_log2_layers_of_a_butterfly_reach_every_block():
    one = butterfly_blocks(16).double()
    assert (torch.linalg.matrix_power(one, 4) > 0).all()
    assert not (torch.linalg.matrix_power(one, 3) > 0).all()


def test_bad_masks_are_refused():
    q, k, v = tensors(32)
    with pytest.raises(ValueError, match="4 blocks of 8 cover"):
        gathered_block_attention(q, k, v, butterfly_blocks(5), 8)
    with pytest.raises(ValueError, match="sees no block"):
        gathered_block_attention(q, k, v, torch.zeros(4, 4, dtype=torch.bool), 8)
