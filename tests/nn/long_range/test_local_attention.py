"""Local attention against a banded mask and against GPT-Neo's and Longformer's layers."""

import pytest
import torch
from transformers import GPTNeoConfig, LongformerConfig
from transformers.models.gpt_neo.modeling_gpt_neo import GPTNeoSelfAttention
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

from nimblelm.nn.long_range.local_attention import local_attention
from tests.nn.long_range.cases import dense, tensors


@pytest.mark.parametrize("length", [1, 5, 16, 37])
@pytest.mark.parametrize("window", [1, 4, 8, 50])
@pytest.mark.parametrize("causal", [False, True])
def test_a_window_is_a_banded_mask(length, window, causal):
    q, k, v = tensors(length)
    distance = torch.arange(length)[:, None] - torch.arange(length)
    seen = (distance < window) & ((distance >= 0) if causal else (distance > -window))
    torch.testing.assert_close(local_attention(q, k, v, window, causal), dense(q, k, v, seen))


def test_equals_the_local_layer_of_gpt_neo():
    torch.manual_seed(0)
    config = GPTNeoConfig(
        hidden_size=32, num_heads=4, num_layers=1, attention_types=[[["local"], 1]], window_size=5,
        max_position_embeddings=64, attention_dropout=0.0, resid_dropout=0.0,
    )  # fmt: skip
    layer = GPTNeoSelfAttention(config, "local", layer_id=0).eval()  # it does not scale its scores
    x = torch.randn(2, 23, 32)
    with torch.no_grad():
        theirs = layer(x)[0]
        q, k, v = (project(x).unflatten(-1, (4, 8)) for project in (layer.q_proj, layer.k_proj, layer.v_proj))
        ours = layer.out_proj(local_attention(q, k, v, window=5, causal=True, scale=1.0).flatten(2))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_equals_the_window_of_longformer():
    torch.manual_seed(0)
    config = LongformerConfig(hidden_size=32, num_attention_heads=4, attention_window=[8], num_hidden_layers=1)
    layer = LongformerSelfAttention(config, layer_id=0).eval()
    x, nothing = torch.randn(2, 24, 32), torch.zeros(2, 24)
    with torch.no_grad():
        theirs = layer(x, nothing, nothing < 0, nothing > 0, False)[0]
        q, k, v = (project(x).unflatten(-1, (4, 8)) for project in (layer.query, layer.key, layer.value))
        ours = local_attention(q, k, v, window=5).flatten(2)  # 8 neighbours: 4 on each side
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
