"""A model whose projections are fused for decoding computes what it did and keeps its weights."""

import copy

import pytest
import torch

from nimblelm.inference.decoding.fused import FusedAttention, for_decoding
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.attention import Attention
from nimblelm.nn.norms import RMSNorm


def random_model(**changes) -> Llama:
    torch.manual_seed(0)
    return Llama(
        LlamaConfig(
            **{
                **dict(
                    zip(
                        ("vocab_size", "d_model", "num_layers", "num_heads", "num_kv_heads", "d_ff"),
                        (40, 24, 2, 6, 2, 32),
                        strict=True,
                    )
                ),
                **changes,
            }
        )
    ).double()


@pytest.mark.parametrize(
    "changes", [{}, {"d_head": 10}, {"num_kv_heads": 1}, {"num_heads": 3, "num_kv_heads": 3, "d_head": 2}]
)
@torch.no_grad()
def test_logits_names_and_values_stay(changes):
    model = random_model(**changes)
    tokens, before = torch.arange(9)[None], copy.deepcopy(model.state_dict())
    logits = model(tokens)
    decoder = for_decoding(for_decoding(model))
    assert sum(isinstance(module, FusedAttention) for module in decoder.modules()) == 2
    for one in (model, decoder):
        torch.testing.assert_close(one(tokens), logits, atol=1e-12, rtol=1e-10)
    assert {name: weight.tolist() for name, weight in model.state_dict().items()} == {
        name: weight.tolist() for name, weight in before.items()
    }


@torch.no_grad()
def test_what_changes_the_weights_later_changes_the_decoders_of_before():
    model, tokens = random_model(), torch.arange(9)[None]
    decoders = [for_decoding(model), for_decoding(model)]
    for parameter in model.parameters():
        parameter.mul_(1.5)
    model.load_state_dict({name: 1.1 * weight for name, weight in model.state_dict().items()})
    for decoder in decoders:
        torch.testing.assert_close(decoder(tokens), model(tokens), atol=1e-12, rtol=1e-10)


def test_a_fused_model_is_copied_and_the_model_behind_it_is_trained():
    model, tokens = random_model(), torch.arange(9)[None]
    decoder = for_decoding(model)
    torch.testing.assert_close(copy.deepcopy(decoder).float()(tokens).double(), decoder(tokens), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(copy.deepcopy(model)(tokens), decoder(tokens), atol=1e-12, rtol=1e-10)
    model(tokens).square().mean().backward()
    torch.optim.SGD(model.parameters(), 0.1).step()
    torch.testing.assert_close(decoder(tokens), model(tokens), atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("options", [{"bias": "q"}, {"qk_norm": RMSNorm}, {"d_context": 12}])
def test_attention_with_more_parts_stays_as_it_is(options):
    attention = Attention(24, 6, 2, **options)
    assert for_decoding(attention) is attention


def test_attention_whose_projection_was_replaced_stays_as_it_is():
    attention = Attention(24, 6, 2)
    attention.q_proj = torch.nn.Sequential(attention.q_proj)
    assert for_decoding(attention) is attention
