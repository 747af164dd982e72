"""Attention over a tree of tokens: against the float64 oracle, and in a batch."""

import pytest
import torch

from nimblelm.inference.decoding.cache import KVCache
from nimblelm.inference.medusa.tree_attention import tree_attention
from nimblelm.inference.medusa.tree_cache import at_tree
from nimblelm.kernels.flash_attention import reference
from tests.inference.models import varied_pair


@pytest.mark.parametrize(
    ("nodes", "sequence", "heads", "kv_heads"), [(1, 0, 2, 2), (5, 0, 4, 2), (7, 13, 4, 1), (3, 40, 2, 2)]
)
def test_nodes_attend_as_the_oracle_does(nodes, sequence, heads, kv_heads):
    rng = torch.Generator().manual_seed(nodes)
    q = torch.randn(2, nodes, heads, 8, generator=rng)
    k, v = (torch.randn(2, sequence + nodes, kv_heads, 8, generator=rng) for _ in range(2))
    mask = torch.rand(nodes, nodes, generator=rng) < 0.5
    mask |= torch.eye(nodes, dtype=torch.bool)
    visible = torch.cat([torch.ones(nodes, sequence, dtype=torch.bool), mask], dim=1)
    want, _ = reference.attention(q, k, v, visible=visible[None, None])
    torch.testing.assert_close(tree_attention(q, k, v, mask).double(), want, atol=1e-6, rtol=1e-5)


def test_a_line_is_a_tree_without_branches():
    model, _ = varied_pair()
    tokens = torch.randint(50, (2, 16), generator=torch.Generator().manual_seed(0))
    as_line, as_tree = (KVCache.allocate(model, 20, batch_size=2) for _ in range(2))
    model(tokens[:, :10], as_line.at(0, 10))
    model(tokens[:, :10], as_tree.at(0, 10))
    line = at_tree(as_tree, 10, torch.arange(6), torch.ones(6, 6, dtype=torch.bool).tril())
    torch.testing.assert_close(model(tokens[:, 10:], line), model(tokens[:, 10:], as_line.at(10, 6)))
    for tree_rows, line_rows in zip(as_tree, as_line, strict=True):
        torch.testing.assert_close(tree_rows, line_rows)


def test_states_are_what_the_head_reads():
    model, _ = varied_pair()
    tokens = torch.arange(9)[None]
    assert torch.equal(model.head(model.states(model.embed(tokens))), model(tokens))
