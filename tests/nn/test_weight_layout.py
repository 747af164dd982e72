"""Weights stored by column are the same weights."""

import pytest
import torch

from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.weight_layout import store_by_column


def random_model(tied: bool) -> Llama:
    torch.manual_seed(0)
    config = LlamaConfig(60, 32, 2, 4, 2, 48, max_seq_len=32, tie_embeddings=tied)
    return Llama(config).eval().requires_grad_(False)


@pytest.mark.parametrize("tied", [True, False])
def test_only_strides_change(tied):
    model = random_model(tied)
    tokens = torch.arange(20)[None]
    before, logits = {name: weight.clone() for name, weight in model.state_dict().items()}, model(tokens)
    store_by_column(model)
    store_by_column(model)  # a second time changes nothing
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    torch.testing.assert_close(model(tokens), logits, atol=1e-5, rtol=1e-5)
    assert {name for name, weight in after.items() if weight.ndim == 2 and weight.t().is_contiguous()} == {
        name for name, weight in after.items() if weight.ndim == 2 and "proj" in name
    } | (set() if tied else {"head.weight"})
    assert (model.head.weight is model.embedding.weight) == tied


def test_a_cached_model_on_a_cpu_has_its_weights_by_column():
    model = random_model(True)
    CachedModel(model)
    assert model.blocks[0].mlp.down_proj.weight.t().is_contiguous()
    assert model.embedding.weight.is_contiguous()
